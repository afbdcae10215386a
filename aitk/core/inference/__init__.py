"""Predictors of every run format, and evaluation with them."""
