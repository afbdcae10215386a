"""Measures of quality and their uncertainty."""
