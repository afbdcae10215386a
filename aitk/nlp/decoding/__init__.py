"""Model outputs to predictions."""
