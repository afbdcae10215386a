"""The two inputs of every speech model, and masking of padding."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor


def speech_inputs(dimensions: int) -> dict[str, keras.KerasTensor]:
    """``features`` (batch, frames, dimensions) float32 and ``padding_mask`` (batch, frames) int32,
    1 for real frames."""
    return {
        "features": keras.Input((None, dimensions), dtype="float32", name="features"),
        "padding_mask": keras.Input((None,), dtype="int32", name="padding_mask"),
    }


def frames_per_step(backbone: keras.Model) -> int:
    """The number of frames per step of a backbone's output."""
    strides = [layer.stride for layer in backbone.layers if isinstance(layer, SubsampleMask)]
    return math.prod(strides)


@keras.saving.register_keras_serializable("aitk.speech")
class HidePadding(keras.layers.Layer):
    """Set padded steps to zero, so that windows beyond the end of a recording see silence.

    Keras masks, as passed on by recurrent layers, end here: losses would otherwise apply them.
    """

    channel_wise = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        return None

    def call(self, sequence: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, steps, ...), (batch, steps) -> the same shape as the sequence
        mask = ops.cast(padding_mask, sequence.dtype)
        return sequence * ops.expand_dims(mask, tuple(range(2, len(sequence.shape))))

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return sequence_shape


@keras.saving.register_keras_serializable("aitk.speech")
class SubsampleMask(keras.layers.Layer):
    """The mask of every ``stride``-th step: ceil(length / stride) real steps."""

    def __init__(self, stride: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.stride = stride

    def call(self, padding_mask: Tensor) -> Tensor:
        # (batch, steps) -> (batch, ceil(steps / stride))
        return padding_mask[:, :: self.stride]

    def compute_output_spec(self, padding_mask: Tensor) -> keras.KerasTensor:
        batch, steps = padding_mask.shape
        fewer = None if steps is None else math.ceil(steps / self.stride)
        return keras.KerasTensor((batch, fewer), dtype=padding_mask.dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stride": self.stride}
