"""Loss functions and pretraining objectives."""
