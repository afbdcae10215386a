"""Whisper (Radford et al. 2023): its features, weights, vocabulary and answers."""
