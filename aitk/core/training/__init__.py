"""Training: loop, state, data feeding."""
