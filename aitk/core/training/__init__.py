"""The training loop and its data feeding."""
