"""Two heads on one encoder: units at every step, and units one after the other by attention.

Hybrid CTC/attention (Watanabe et al. 2017, section III). Unit 0 is the blank of the first head; to
the decoder it is the start of a text when read, and its end when written.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from aitk.core.layers import Tensor
from aitk.speech.models.attention import CrossAttention, SelfAttention, SinusoidalPositions
from aitk.speech.models.inputs import HidePadding, SubsampleMask, frames_per_step, speech_inputs
from aitk.speech.models.transformer import dense_part, norm

EVERYTHING = 1_000_000  # steps before: a window that only the future is outside of


def joint_transcriber(
    backbone: keras.Model, *, units: int, layers: int, heads: int, dropout: float
) -> keras.Model:
    """Put both heads on a backbone.

    Args:
        backbone: ``features`` and ``padding_mask`` to (batch, steps, hidden).
        units: the blank included.
        layers: of the decoder.

    Returns:
        A functional model that also reads ``target_ids`` (batch, length) int32: 0, then the units
        known so far. Its float32 logits (batch, length + steps, units) are for each place of
        ``target_ids`` those of the unit after it, and then those of the steps, zero where padded.
    """
    dimensions = next(spec.shape[-1] for spec in backbone.inputs if spec.name == "features")
    inputs = speech_inputs(dimensions)
    target_ids = keras.Input((None,), dtype="int32", name="target_ids")
    mask = SubsampleMask(frames_per_step(backbone), name="step_mask")(inputs["padding_mask"])
    memory = backbone(inputs)
    at_steps = keras.layers.Dense(units, name="head", dtype="float32")(memory)
    at_steps = HidePadding(name="hide_padding", dtype="float32")(at_steps, mask)
    x = keras.layers.Embedding(units, memory.shape[-1], name="unit_embedding")(target_ids)
    x = SinusoidalPositions(name="decoder_positions")(x)
    x = keras.layers.Dropout(dropout, name="decoder_dropout")(x)
    for index in range(layers):
        x = _decoder_part(x, memory, mask, target_ids, heads, dropout, f"decoder_{index}")
    x = norm("decoder_norm")(x)
    in_turn = keras.layers.Dense(units, name="decoder_head", dtype="float32")(x)
    logits = keras.layers.Concatenate(axis=1, name="both", dtype="float32")([in_turn, at_steps])
    return keras.Model(inputs | {"target_ids": target_ids}, logits, name="joint_transcriber")


def _decoder_part(
    x: Tensor,
    memory: Mapping[str, Tensor],
    mask: Tensor,
    target_ids: Tensor,
    heads: int,
    dropout: float,
    name: str,
) -> Tensor:
    """One layer: attention to the units before, attention to the steps, dense layers."""
    every_place = keras.ops.ones_like(target_ids)
    y = norm(f"{name}_own_norm")(x)
    y = SelfAttention(heads, EVERYTHING, 1, name=f"{name}_own")(y, every_place)
    y = keras.layers.Dropout(dropout, name=f"{name}_own_dropout")(y)
    x = keras.layers.Add(name=f"{name}_own_add")([x, y])
    y = norm(f"{name}_cross_norm")(x)
    y = CrossAttention(heads, name=f"{name}_cross")(y, memory, mask)
    y = keras.layers.Dropout(dropout, name=f"{name}_cross_dropout")(y)
    x = keras.layers.Add(name=f"{name}_cross_add")([x, y])
    return dense_part(x, dropout, name)
