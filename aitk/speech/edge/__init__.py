"""Speech models on small devices: what their scripts hold."""
