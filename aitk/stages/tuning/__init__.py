"""The parts of ``tune``: what is searched, the study, its trials."""
