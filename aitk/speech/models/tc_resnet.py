"""TC-ResNet: residual convolutions over time, frequency as channels (Choi et al. 2019, 3.2).

"Temporal Convolution for Real-time Keyword Spotting on Mobile Devices". A first convolution of
width 3, then residual blocks of width 9; the first block of each group halves the rate.
"""

from __future__ import annotations

import keras

from aitk.core.layers import Tensor
from aitk.speech.models.convolution import convolve, normalise
from aitk.speech.models.inputs import SubsampleMask, speech_inputs
from aitk.speech.tasks.settings import TcResNetSettings

FIRST_CHANNELS = 16
GROUP_CHANNELS = (24, 32, 48)
WIDTH = 9


def build_backbone(settings: TcResNetSettings, dimensions: int) -> keras.Model:
    """Features (batch, frames, dimensions) -> (batch, ceil(frames / 8), 48 * multiplier)."""
    inputs = speech_inputs(dimensions)
    mask = inputs["padding_mask"]
    channels = round(FIRST_CHANNELS * settings.multiplier)
    x = convolve(inputs["features"], mask, channels, width=3, name="first")
    x = normalise(x, mask, activation="relu", name="first")
    for group, wide in enumerate(GROUP_CHANNELS):
        for block in range(settings.blocks):
            stride = 2 if block == 0 else 1
            name = f"block_{group}_{block}"
            x, mask = _residual(x, mask, round(wide * settings.multiplier), stride, name)
    return keras.Model(inputs, x, name="backbone")


def _residual(
    x: Tensor, padding_mask: Tensor, channels: int, stride: int, name: str
) -> tuple[Tensor, Tensor]:
    y = convolve(x, padding_mask, channels, width=WIDTH, stride=stride, name=f"{name}_a")
    shortcut, fewer = x, padding_mask
    if stride > 1:
        fewer = SubsampleMask(stride, name=f"{name}_mask")(padding_mask)
        shortcut = convolve(x, padding_mask, channels, width=1, stride=stride, name=f"{name}_skip")
        shortcut = normalise(shortcut, fewer, activation="relu", name=f"{name}_skip")
    y = normalise(y, fewer, activation="relu", name=f"{name}_a")
    y = convolve(y, fewer, channels, width=WIDTH, name=f"{name}_b")
    y = normalise(y, fewer, activation=None, name=f"{name}_b")
    y = keras.layers.Add(name=f"{name}_add")([y, shortcut])
    return keras.layers.Activation("relu", name=f"{name}_relu")(y), fewer
