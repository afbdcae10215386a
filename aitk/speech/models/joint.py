"""Two heads on one encoder: CTC at every step, and an attention decoder.

Hybrid CTC/attention (Watanabe et al. 2017, section III). Unit 0 is the blank of the CTC head; for
the decoder it marks the start of a text as input, and its end as output.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from aitk.core.layers import Tensor
from aitk.speech.models.attention import CrossAttention, SelfAttention, SinusoidalPositions
from aitk.speech.models.inputs import HidePadding, SubsampleMask, frames_per_step, speech_inputs
from aitk.speech.models.transformer import dense_part, norm

EVERYTHING = 1_000_000  # left context: a window that masks only the future


def joint_transcriber(
    backbone: keras.Model, *, units: int, layers: int, heads: int, dropout: float
) -> keras.Model:
    """Put both heads on a backbone.

    Args:
        backbone: model from ``features`` and ``padding_mask`` to (batch, steps, hidden).
        units: number of units, including the blank.
        layers: number of decoder layers.

    Returns:
        A functional model with the further input ``target_ids`` (batch, length) int32: 0, then the
        known units. Its float32 logits (batch, length + steps, units) are those of the unit after
        each position of ``target_ids``, then those of the steps, zero where padded.
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
    """One layer: attention to preceding units, attention to the steps, dense layers."""
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
