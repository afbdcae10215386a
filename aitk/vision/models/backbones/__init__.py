"""Image networks shared by all heads."""
