"""Conformer: convolution-augmented transformer (Gulati et al. 2020, section 2).

Each block is a half-step feed-forward module, attention by content and distance, a convolution, and
another half-step feed-forward module. Causal models see no step after the current chunk.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from aitk.core.contract.errors import UsageError
from aitk.core.layers import Tensor
from aitk.speech.models.attention import RelativeSelfAttention
from aitk.speech.models.convolution import convolve_each, normalise, subsample, swish
from aitk.speech.models.inputs import speech_inputs
from aitk.speech.models.planes import plane_front
from aitk.speech.models.transformer import norm
from aitk.speech.tasks.settings import ConformerSettings

PLANE_CHANNELS = 24


def build_backbone(settings: ConformerSettings, dimensions: int) -> keras.Model:
    """Features (batch, frames, dimensions) -> (batch, ceil(frames / subsampling), hidden)."""
    inputs = speech_inputs(dimensions)
    x, mask = _front(settings, inputs)
    x = keras.layers.Dense(settings.hidden, name="entry")(x)
    x = keras.layers.Dropout(settings.dropout, name="entry_dropout")(x)
    for index in range(settings.layers):
        name = f"block_{index}"
        x = _half_dense_part(x, settings.dropout, f"{name}_dense_a")
        x = _attention_part(x, mask, settings, f"{name}_attention")
        x = _convolution_part(x, mask, settings, f"{name}_convolution")
        x = _half_dense_part(x, settings.dropout, f"{name}_dense_b")
        x = norm(f"{name}_norm")(x)
    return keras.Model(inputs, x, name="backbone")


def _front(settings: ConformerSettings, inputs: Mapping[str, Tensor]) -> Tensor:
    features, mask = inputs["features"], inputs["padding_mask"]
    if settings.front == "plane":
        if settings.causal:
            raise UsageError(
                "a front end over time and frequency reads later frames",
                where="--set front",
                hint="Use --set front=time, or --set causal=false",
            )
        return plane_front(features, mask, PLANE_CHANNELS, factor=settings.subsampling)
    return subsample(
        features, mask, settings.hidden, factor=settings.subsampling, causal=settings.causal
    )


def _half_dense_part(x: Tensor, dropout: float, name: str) -> Tensor:
    hidden = x.shape[-1]
    y = norm(f"{name}_norm")(x)
    y = keras.layers.Dense(4 * hidden, activation=swish, name=f"{name}_in")(y)
    y = keras.layers.Dropout(dropout, name=f"{name}_dropout_in")(y)
    y = keras.layers.Dense(hidden, name=f"{name}_out")(y)
    y = keras.layers.Dropout(dropout, name=f"{name}_dropout_out")(y)
    return keras.layers.Add(name=f"{name}_add")([x, 0.5 * y])


def _attention_part(
    x: Tensor, padding_mask: Tensor, settings: ConformerSettings, name: str
) -> Tensor:
    y = norm(f"{name}_norm")(x)
    left = settings.left_steps if settings.causal else None
    y = RelativeSelfAttention(settings.heads, left, settings.chunk_steps, name=name)(
        y, padding_mask
    )
    y = keras.layers.Dropout(settings.dropout, name=f"{name}_dropout")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _convolution_part(
    x: Tensor, padding_mask: Tensor, settings: ConformerSettings, name: str
) -> Tensor:
    hidden = x.shape[-1]
    y = norm(f"{name}_norm")(x)
    gate = keras.layers.Dense(hidden, activation="sigmoid", name=f"{name}_gate")(y)
    y = keras.layers.Dense(hidden, name=f"{name}_in")(y)
    y = keras.layers.Multiply(name=f"{name}_gated")([y, gate])
    y = convolve_each(
        y, padding_mask, width=settings.width, causal=settings.causal, name=f"{name}_depthwise"
    )
    y = normalise(y, padding_mask, activation=swish, name=f"{name}_depthwise")
    y = keras.layers.Dense(hidden, name=f"{name}_out")(y)
    y = keras.layers.Dropout(settings.dropout, name=f"{name}_dropout")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])
