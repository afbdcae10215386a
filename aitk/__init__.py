"""From raw files to a small, measured, usable model: speech, NLP, vision, recommendation."""

__version__ = "0.1.0"
