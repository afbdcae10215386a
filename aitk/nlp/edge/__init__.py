"""Text models on small devices: what their scripts hold."""
