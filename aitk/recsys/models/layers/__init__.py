"""Keras layers that several domains share."""
