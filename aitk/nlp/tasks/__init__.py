"""Implementations of the task contract, one file per task."""
