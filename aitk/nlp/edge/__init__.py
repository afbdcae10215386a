"""Text models on small devices: the content of their scripts."""
