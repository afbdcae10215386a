"""Models that are computed rather than trained: NumPy and SciPy, in blocks, no TensorFlow."""
