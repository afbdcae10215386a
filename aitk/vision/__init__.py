"""Images: readers, geometry, augmentation, models, one file per task."""
