"""The two inputs that every text model has."""

from __future__ import annotations

import keras


def text_inputs() -> dict[str, keras.KerasTensor]:
    """``token_ids`` and ``padding_mask``, both int32 (batch, length)."""
    return {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }


@keras.saving.register_keras_serializable("aitk.nlp")
class HidePadding(keras.layers.Layer):
    """Set the features of padded positions to zero."""

    def call(self, sequence, padding_mask):
        # (batch, length, hidden), (batch, length) -> (batch, length, hidden)
        mask = keras.ops.cast(padding_mask, sequence.dtype)
        return sequence * keras.ops.expand_dims(mask, -1)

    def compute_output_shape(self, sequence_shape, padding_mask_shape):
        return sequence_shape
