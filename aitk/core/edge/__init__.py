"""Bundles for prediction on small devices without aitk: a model, a script, and its data."""
