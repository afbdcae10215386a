"""Text: readers, cleaning, tokenisers, models, one file a task."""
