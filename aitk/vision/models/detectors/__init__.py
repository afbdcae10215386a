"""Object detectors and their parts."""
