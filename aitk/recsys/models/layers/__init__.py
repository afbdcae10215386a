"""Keras layers common to several recommenders."""
