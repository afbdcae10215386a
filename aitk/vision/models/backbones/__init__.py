"""Image networks that heads share."""
