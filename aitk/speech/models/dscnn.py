"""DS-CNN: depthwise separable convolutions over time and frequency (Zhang et al. 2017, 3.4).

"Hello Edge: Keyword Spotting on Microcontrollers". One plain convolution, then blocks of a 3 x 3
depthwise convolution and a 1 x 1 pointwise convolution, each with batch normalisation and ReLU,
then averages.
"""

from __future__ import annotations

import keras

from aitk.core.layers import Shape, Tensor
from aitk.speech.models.convolution import normalise
from aitk.speech.models.inputs import HidePadding, SubsampleMask, speech_inputs
from aitk.speech.tasks.settings import DsCnnSettings

FIRST = (10, 4)  # frames, filters


def build_backbone(settings: DsCnnSettings, dimensions: int) -> keras.Model:
    """Features (batch, frames, dimensions) -> (batch, ceil(frames / 2), channels)."""
    inputs = speech_inputs(dimensions)
    mask = inputs["padding_mask"]
    x = keras.layers.Reshape((-1, dimensions, 1), name="one_channel")(inputs["features"])
    x = _pad(x, mask, FIRST, "first")
    x = keras.layers.Conv2D(settings.channels, FIRST, strides=(2, 2), use_bias=False, name="first")(
        x
    )
    mask = SubsampleMask(2, name="first_mask")(mask)
    x = normalise(x, mask, activation="relu", name="first")
    for index in range(settings.blocks):
        name = f"block_{index}"
        x = _pad(x, mask, (3, 3), f"{name}_depthwise")
        x = keras.layers.DepthwiseConv2D(3, use_bias=False, name=f"{name}_depthwise")(x)
        x = normalise(x, mask, activation="relu", name=f"{name}_depthwise")
        x = keras.layers.Conv2D(settings.channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
        x = normalise(x, mask, activation="relu", name=f"{name}_pointwise")
    x = MeanOverFrequency(name="mean_over_frequency")(x)
    return keras.Model(inputs, x, name="backbone")


def _pad(x: Tensor, padding_mask: Tensor, window: tuple[int, int], name: str) -> Tensor:
    """Zero the padding, and pad time and frequency for a window of this size."""
    x = HidePadding(name=f"{name}_hide_padding")(x, padding_mask)
    sides = tuple(((width - 1) // 2, width // 2) for width in window)
    return keras.layers.ZeroPadding2D(sides, name=f"{name}_zeros")(x)


@keras.saving.register_keras_serializable("aitk.speech")
class MeanOverFrequency(keras.layers.Layer):
    """Average (batch, steps, filters, channels) to (batch, steps, channels)."""

    def call(self, x: Tensor) -> Tensor:
        return keras.ops.mean(x, axis=2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], input_shape[3])
