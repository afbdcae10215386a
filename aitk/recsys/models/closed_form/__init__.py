"""Models whose weights are computed at once."""
