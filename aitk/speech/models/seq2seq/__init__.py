"""Encoder-decoder recognisers: Whisper and Moonshine."""
