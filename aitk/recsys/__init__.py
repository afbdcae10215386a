"""Recommendation: from a log of interactions to ranked items for a user, or a rating."""
