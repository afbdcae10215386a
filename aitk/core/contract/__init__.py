"""What tasks, models and stages agree on."""
