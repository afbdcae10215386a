"""Autoregressive decoding: token by token, with cached state."""
