"""The Python API: what ``import aitk`` offers, and what the command line calls."""
