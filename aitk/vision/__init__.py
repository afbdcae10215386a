"""Images: readers, geometry, augmentation, models, one file a task."""
