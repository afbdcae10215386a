"""Prepared data, runs and weights on disk."""
