"""The head that guesses masked tokens (Devlin et al. 2018, appendix A.2), on any backbone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.nlp.models.inputs import text_inputs
from aitk.nlp.models.tied import OverBackbone, TiedLogits, token_embedding


@keras.saving.register_keras_serializable("aitk.nlp")
class MaskedTokens(OverBackbone):
    """Backbone, one dense layer, and the embedding of the tokens read backwards.

    Inputs: ``token_ids`` and ``padding_mask`` (batch, length), ``mask_positions`` (batch, slots):
    the positions to guess, counted from 1; 0 is an unused slot. Output: float32 logits
    (batch, slots, vocabulary), all zero in an unused slot.
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


@keras.saving.register_keras_serializable("aitk.nlp")
class TakeSlots(keras.layers.Layer):
    """Pick the features at some positions, counted from 1 (0 picks the first as well)."""

    def call(self, sequence, positions):
        # (batch, length, hidden), (batch, slots) -> (batch, slots, hidden)
        indices = ops.expand_dims(ops.maximum(positions - 1, 0), -1)
        return ops.take_along_axis(sequence, indices, axis=1)

    def compute_output_shape(self, sequence_shape, positions_shape):
        return (*positions_shape, sequence_shape[-1])
