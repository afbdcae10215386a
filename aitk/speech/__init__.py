"""Speech: audio to features, features to text and labels."""
