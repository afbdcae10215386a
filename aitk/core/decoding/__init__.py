"""Autoregressive decoding: models read one token more and keep what they need of those before."""
