"""Personal data in texts, training with differential privacy, and attacks that measure leaks."""
