"""Training a run from prepared data: defaults, the training, its records."""
