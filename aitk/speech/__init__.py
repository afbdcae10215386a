"""Speech: sounds become features, features become words."""
