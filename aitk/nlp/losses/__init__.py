"""Losses of text models."""
