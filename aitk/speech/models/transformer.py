"""A pre-norm transformer encoder over subsampled frames (Xiong et al. 2020, figure 1b)."""

from __future__ import annotations

import keras

from aitk.speech.models.attention import SelfAttention, SinusoidalPositions
from aitk.speech.models.convolution import subsample
from aitk.speech.models.inputs import speech_inputs
from aitk.speech.tasks.settings import JointTransformerSettings, TransformerSettings


def build_backbone(
    settings: TransformerSettings | JointTransformerSettings, dimensions: int
) -> keras.Model:
    """Features (batch, frames, dimensions) -> (batch, ceil(frames / subsampling), hidden)."""
    inputs = speech_inputs(dimensions)
    x, mask = subsample(
        inputs["features"], inputs["padding_mask"], settings.hidden, factor=settings.subsampling
    )
    x = keras.layers.Dense(settings.hidden, name="entry")(x)
    x = SinusoidalPositions(name="positions")(x)
    x = keras.layers.Dropout(settings.dropout, name="entry_dropout")(x)
    for index in range(settings.layers):
        x = attention_part(x, mask, settings.heads, settings.dropout, f"layer_{index}")
        x = dense_part(x, settings.dropout, f"layer_{index}")
    x = norm("final_norm")(x)
    return keras.Model(inputs, x, name="backbone")


def attention_part(
    x: keras.KerasTensor,
    padding_mask: keras.KerasTensor,
    heads: int,
    dropout: float,
    name: str,
) -> keras.KerasTensor:
    """A residual part of attention to all real steps."""
    y = norm(f"{name}_attention_norm")(x)
    y = SelfAttention(heads, name=f"{name}_attention")(y, padding_mask)
    y = keras.layers.Dropout(dropout, name=f"{name}_attention_dropout")(y)
    return keras.layers.Add(name=f"{name}_attention_add")([x, y])


def dense_part(x: keras.KerasTensor, dropout: float, name: str) -> keras.KerasTensor:
    """A residual part of two dense layers, the inner one four times as wide."""
    hidden = x.shape[-1]
    y = norm(f"{name}_dense_norm")(x)
    y = keras.layers.Dense(4 * hidden, activation="gelu", name=f"{name}_dense_in")(y)
    y = keras.layers.Dense(hidden, name=f"{name}_dense_out")(y)
    y = keras.layers.Dropout(dropout, name=f"{name}_dense_dropout")(y)
    return keras.layers.Add(name=f"{name}_dense_add")([x, y])


def norm(name: str) -> keras.layers.LayerNormalization:
    """Layer normalisation (Ba et al. 2016)."""
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)
