"""Recommenders on small devices: what their scripts hold."""
