"""Text: readers, cleaning, tokenisers and models, with one file per task."""
