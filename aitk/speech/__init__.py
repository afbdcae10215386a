"""Speech: audio becomes features, features become words."""
