"""Heads that score every token by its embedding, which lies inside the backbone."""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops


class OverBackbone(keras.Model):
    """A model that is built of its backbone alone.

    A class of its own, since a plain functional model does not keep weights shared with a layer
    inside its backbone when it is saved.
    """

    def get_config(self) -> dict[str, Any]:
        backbone = keras.saving.serialize_keras_object(self.get_layer("backbone"))
        return {"name": self.name, "backbone": backbone}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(backbone, name=config["name"])


def token_embedding(backbone: keras.Model) -> Any:
    """The layer that embeds tokens: of one of our backbones, or of a wrapped Keras Hub one."""
    for layer in backbone.layers:
        if layer.name == "token_embedding":
            return layer
        if getattr(layer, "token_embedding", None) is not None:
            return layer.token_embedding
    raise ValueError(f"{backbone.name} has no token_embedding")


class TiedLogits(keras.layers.Layer):
    """Score every token by its embedding (Press and Wolf 2017), and a bias of its own."""

    def __init__(self, embedding: keras.layers.Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.embedding = embedding

    def build(self, features_shape, positions_shape):
        vocabulary_size = self.embedding.input_dim
        self.bias = self.add_weight(shape=(vocabulary_size,), initializer="zeros", name="bias")

    def call(self, features, positions):
        # (batch, slots, hidden), (batch, slots) -> (batch, slots, vocabulary)
        table = ops.cast(self.embedding.embeddings, features.dtype)
        logits = ops.matmul(features, ops.transpose(table)) + self.bias
        used = ops.cast(positions > 0, logits.dtype)
        return logits * ops.expand_dims(used, -1)

    def compute_output_shape(self, features_shape, positions_shape):
        return (*features_shape[:-1], self.embedding.input_dim)
