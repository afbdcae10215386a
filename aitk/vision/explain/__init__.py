"""What contributed to a prediction."""
