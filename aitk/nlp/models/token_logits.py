"""Scoring every token by its embedding, in the precision of the model."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class TokenLogits(keras.layers.Layer):
    """Logits of tokens by a shared embedding (Press and Wolf 2017), and a bias of their own.

    The product is computed in the layer's compute dtype, the result is float32.
    """

    def __init__(self, embedding: keras.layers.Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.embedding = embedding

    def build(self, features_shape):
        size = self.embedding.input_dim
        self.bias = self.add_weight(shape=(size,), initializer="zeros", name="bias")

    def call(self, features):
        # (batch, length, hidden) -> (batch, length, vocabulary)
        table = ops.cast(self.embedding.embeddings, features.dtype)
        logits = ops.matmul(features, ops.transpose(table))
        return ops.cast(logits, "float32") + ops.cast(self.bias, "float32")

    def compute_output_spec(self, features):
        shape = (*features.shape[:-1], self.embedding.input_dim)
        return keras.KerasTensor(shape, dtype="float32")
