"""The optimizers, their learning rates, and the weights that they average or anchor."""
