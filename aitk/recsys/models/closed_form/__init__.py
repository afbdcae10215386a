"""Closed-form models."""
