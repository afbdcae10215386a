"""Heads on a backbone's steps: logits per recording or per step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.speech.models.inputs import HidePadding, SubsampleMask, frames_per_step, speech_inputs


def classifier(
    backbone: keras.Model, *, classes: int, pooling: str, dropout: float, bias: float = 0.0
) -> keras.Model:
    """Pool the steps and put a linear head, named ``head``, on them.

    Args:
        backbone: model from ``features`` and ``padding_mask`` to (batch, steps, hidden).
        classes: number of logits.
        pooling: ``mean`` or ``max`` over the real steps.
        dropout: dropout rate of the pooled features.
        bias: initial bias of each class.

    Returns:
        A functional model with the same inputs and float32 logits (batch, classes).
    """
    inputs, mask = _inputs_and_mask(backbone)
    x = Pooling(pooling, name="pooling", dtype="float32")(backbone(inputs), mask)
    x = keras.layers.Dropout(dropout, name="head_dropout", dtype="float32")(x)
    start = keras.initializers.Constant(bias)
    logits = keras.layers.Dense(classes, bias_initializer=start, name="head", dtype="float32")(x)
    return keras.Model(inputs, logits, name="classifier")


def transcriber(backbone: keras.Model, *, units: int, dropout: float) -> keras.Model:
    """Put a linear head, named ``head``, on every step (connectionist temporal classification).

    Returns:
        A functional model with the backbone's inputs and float32 logits (batch, steps, units),
        zero at padded steps.
    """
    inputs, mask = _inputs_and_mask(backbone)
    x = keras.layers.Dropout(dropout, name="head_dropout")(backbone(inputs))
    logits = keras.layers.Dense(units, name="head", dtype="float32")(x)
    logits = HidePadding(name="hide_padding", dtype="float32")(logits, mask)
    return keras.Model(inputs, logits, name="transcriber")


def _inputs_and_mask(backbone: keras.Model) -> tuple[dict[str, Tensor], Tensor]:
    """New inputs for a backbone, and the mask of its steps."""
    dimensions = next(spec.shape[-1] for spec in backbone.inputs if spec.name == "features")
    inputs = speech_inputs(dimensions)
    mask = SubsampleMask(frames_per_step(backbone), name="step_mask")(inputs["padding_mask"])
    return inputs, mask


@keras.saving.register_keras_serializable("aitk.speech")
class Pooling(keras.layers.Layer):
    """Pool a sequence to one vector, over real steps only."""

    def __init__(self, how: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.how = how
        self.supports_masking = True

    def compute_mask(self, *_: Any) -> None:
        return None  # the output is no sequence and has no mask

    def call(self, sequence: Tensor, padding_mask: Tensor) -> Tensor:
        # (batch, steps, hidden), (batch, steps) -> (batch, hidden)
        mask = ops.expand_dims(ops.cast(padding_mask, sequence.dtype), -1)
        if self.how == "max":
            return ops.max(sequence * mask - (1 - mask) * 1e9, axis=1)
        return ops.sum(sequence * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1)

    def compute_output_shape(
        self, sequence_shape: Shape, padding_mask_shape: Shape | None = None
    ) -> Shape:
        return (sequence_shape[0], sequence_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"how": self.how}
