"""Folders that predict on small devices, without aitk: a model, a script, and its data."""
