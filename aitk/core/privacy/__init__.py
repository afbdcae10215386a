"""Redaction of personal data, differentially private training, and attacks that measure leaks."""
