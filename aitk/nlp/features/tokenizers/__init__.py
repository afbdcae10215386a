"""Text to token ids for recognisers."""
