"""Recommendation: from a log of interactions to a list of items for a user, or a rating."""
