"""Padding-aware convolutions over time and frequency, with max pooling.

Max pooling over neighbouring filters makes sounds alike that differ in vocal tract length or pitch.
Networks that treat the filters as channels overfit to the voices of few speakers instead.

"""

from __future__ import annotations

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.speech.models.convolution import halvings, normalise
from aitk.speech.models.inputs import HidePadding, SubsampleMask

FRONT_WINDOWS = (5, 3, 3)  # frames and filters


def convolve_plane(
    x: keras.KerasTensor, padding_mask: keras.KerasTensor, channels: int, *, window: int, name: str
) -> keras.KerasTensor:
    """Convolve (batch, steps, filters, channels) with a square window, normalise, apply ReLU."""
    x = HidePadding(name=f"{name}_hide_padding")(x, padding_mask)
    x = keras.layers.Conv2D(channels, window, padding="same", use_bias=False, name=name)(x)
    return normalise(x, padding_mask, activation="relu", name=name)


def plane_front(
    x: keras.KerasTensor, padding_mask: keras.KerasTensor, channels: int, *, factor: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Front end of an encoder over time and frequency, as in Hori et al. 2017.

    Three convolutions, each followed by max pooling that halves the filters; the first ones also
    halve the steps until ``factor`` is reached.

    Args:
        x: (batch, frames, dimensions).
        channels: channels of the first convolution; the others have 2 and 3 times as many.
        factor: 1, 2, 4 or 8.

    Returns:
        (batch, ceil(frames / factor), features), and the mask of these steps.

    Raises:
        UsageError: the factor is not a power of two.
    """
    in_time = halvings(factor)
    x = keras.layers.Reshape((-1, x.shape[-1], 1), name="one_channel")(x)
    for index, window in enumerate(FRONT_WINDOWS):
        name = f"front_{index}"
        x = convolve_plane(x, padding_mask, channels * (index + 1), window=window, name=name)
        steps = 2 if index < in_time else 1
        x, padding_mask = maxima(x, padding_mask, steps=steps, filters=2, name=name)
    flat = x.shape[2] * x.shape[3]
    return keras.layers.Reshape((-1, flat), name="front")(x), padding_mask


def maxima(
    x: keras.KerasTensor, padding_mask: keras.KerasTensor, *, steps: int, filters: int, name: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Max pooling over ``steps`` x ``filters`` neighbours of nonnegative values.

    Returns:
        (batch, ceil(steps / ``steps``), ceil(filters / ``filters``), channels), and its mask.
    """
    # Zeros in the padding never exceed their neighbours.
    x = HidePadding(name=f"{name}_hide_rest")(x, padding_mask)
    x = keras.layers.MaxPooling2D((steps, filters), padding="same", name=f"{name}_maxima")(x)
    if steps > 1:
        padding_mask = SubsampleMask(steps, name=f"{name}_mask")(padding_mask)
    return x, padding_mask


@keras.saving.register_keras_serializable("aitk.speech")
class OverFrequency(keras.layers.Layer):
    """(batch, steps, filters, channels) to (batch, steps, 2 * channels): maxima and means."""

    def call(self, x: Tensor) -> Tensor:
        return ops.concatenate([ops.max(x, axis=2), ops.mean(x, axis=2)], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], 2 * input_shape[3])
