"""The head that guesses masked tokens (Devlin et al. 2018, appendix A.2), on any backbone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.nlp.models.inputs import text_inputs


@keras.saving.register_keras_serializable("aitk.nlp")
class MaskedTokens(keras.Model):
    """Backbone, one dense layer, and the embedding of the tokens read backwards.

    Inputs: ``token_ids`` and ``padding_mask`` (batch, length), ``mask_positions`` (batch, slots):
    the positions to guess, counted from 1; 0 is an unused slot. Output: float32 logits
    (batch, slots, vocabulary), all zero in an unused slot.

    A class of its own, since a plain functional model does not keep weights shared with a layer
    inside its backbone when it is saved.
    """

    def __init__(self, backbone: keras.Model, **kwargs: Any):
        embedding = token_embedding(backbone)
        inputs = text_inputs()
        positions = keras.Input((None,), dtype="int32", name="mask_positions")
        x = backbone(inputs)
        x = TakeSlots(name="slots")(x, positions)  # (batch, slots, hidden)
        x = keras.layers.Dense(embedding.output_dim, activation="gelu", name="head_dense")(x)
        x = keras.layers.LayerNormalization(epsilon=1e-6, name="head_norm")(x)
        logits = TiedLogits(embedding, dtype="float32", name="head")(x, positions)
        super().__init__(inputs | {"mask_positions": positions}, logits, **kwargs)

    def get_config(self) -> dict[str, Any]:
        backbone = keras.saving.serialize_keras_object(self.get_layer("backbone"))
        return {"name": self.name, "backbone": backbone}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedTokens:
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


@keras.saving.register_keras_serializable("aitk.nlp")
class TakeSlots(keras.layers.Layer):
    """Pick the features at some positions, counted from 1 (0 picks the first as well)."""

    def call(self, sequence, positions):
        # (batch, length, hidden), (batch, slots) -> (batch, slots, hidden)
        indices = ops.expand_dims(ops.maximum(positions - 1, 0), -1)
        return ops.take_along_axis(sequence, indices, axis=1)

    def compute_output_shape(self, sequence_shape, positions_shape):
        return (*positions_shape, sequence_shape[-1])


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
