"""Rows to arrays."""
