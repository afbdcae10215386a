"""The parts of ``tune``: the search space, the study, its trials."""
