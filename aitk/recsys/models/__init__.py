"""The Keras models, one file per architecture."""
