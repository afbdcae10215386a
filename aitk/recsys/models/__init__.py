"""The Keras models, one file an architecture; ``solved`` and ``built`` list them."""
