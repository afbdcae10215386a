"""A temporal convolutional network: dilated residual convolutions (Bai et al. 2018, section 3).

As in the paper, the dilation doubles from block to block; here it restarts in every stack, and
batch normalisation replaces weight normalisation. Causal networks see no later frame.
"""

from __future__ import annotations

import keras

from aitk.core.layers import Tensor
from aitk.speech.models.convolution import convolve, normalise, subsample
from aitk.speech.models.inputs import speech_inputs
from aitk.speech.tasks.settings import TcnSettings


def build_backbone(settings: TcnSettings, dimensions: int) -> keras.Model:
    """Features (batch, frames, dimensions) -> (batch, ceil(frames / subsampling), channels)."""
    inputs = speech_inputs(dimensions)
    x, mask = subsample(
        inputs["features"],
        inputs["padding_mask"],
        settings.channels,
        factor=settings.subsampling,
        causal=settings.causal,
    )
    for stack in range(settings.stacks):
        for block in range(settings.blocks):
            x = _residual(x, mask, settings, 2**block, f"block_{stack}_{block}")
    return keras.Model(inputs, x, name="backbone")


def _residual(
    x: Tensor, padding_mask: Tensor, settings: TcnSettings, dilation: int, name: str
) -> Tensor:
    y = x
    for part in ("a", "b"):
        y = convolve(
            y,
            padding_mask,
            settings.channels,
            width=settings.width,
            dilation=dilation,
            causal=settings.causal,
            name=f"{name}_{part}",
        )
        y = normalise(y, padding_mask, activation="relu", name=f"{name}_{part}")
        y = keras.layers.SpatialDropout1D(settings.dropout, name=f"{name}_{part}_dropout")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])
