"""Connectionist temporal classification losses for Keras' training loop.

On TensorFlow, ``tf.nn.ctc_loss`` with sparse labels is used, ten times as fast as the version of
``keras.ops``, which other backends use. Both have the same values.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor
from aitk.speech.features.tokenizers.units import BLANK

#: Weight of the teacher in distillation. A teacher's spikes need not occur at the steps where the
#: student would place its own, so the weight is lower than in classification.
TEACHER_SHARE, TEMPERATURE = 0.5, 2.0


@keras.saving.register_keras_serializable("aitk.speech")
class CtcLoss(keras.losses.Loss):
    """Negative log-probability of a text over all its paths, per unit of the text.

    Args:
        per_unit: divide by the number of units, so that long texts do not outweigh short ones.
    """

    def __init__(self, per_unit: bool = True, name: str = "ctc", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.per_unit = per_unit

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # (batch, 1 + units), (batch, steps, classes) -> (batch,)
        y_true = ops.cast(y_true, "int32")
        units = y_true[:, 1:]
        losses = ctc_losses(units, ops.cast(y_pred, "float32"), y_true[:, 0])
        if not self.per_unit:
            return losses
        lengths = ops.sum(ops.cast(ops.not_equal(units, BLANK), "float32"), axis=1)
        return losses / ops.maximum(lengths, 1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"per_unit": self.per_unit}


class CtcDistillationLoss(keras.losses.Loss):
    """The CTC loss combined with the teacher's distribution at every step.

    Cross-entropy with the teacher's softened distribution (Hinton et al. 2015, section 2), summed
    over the steps and divided by the number of units, like the CTC loss. A row without a text has
    the teacher's distributions only, and the number of units on its most probable path.
    """

    #: Configuration recorded in the run.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # (batch, 1 + units + steps * classes), (batch, steps, classes) -> (batch,)
        y_pred = ops.cast(y_pred, "float32")
        steps, classes = ops.shape(y_pred)[1], y_pred.shape[2]
        known = ops.shape(y_true)[1] - steps * classes
        target_units, teacher = ops.cast(y_true[:, :known], "int32"), y_true[:, known:]
        teacher = ops.reshape(ops.cast(teacher, "float32"), (-1, steps, classes))
        softened = ops.softmax(teacher / TEMPERATURE, axis=-1)
        each = ops.categorical_crossentropy(softened, y_pred / TEMPERATURE, from_logits=True)
        real = ops.cast(ops.arange(steps)[None] < target_units[:, :1], "float32")
        units = ops.sum(ops.cast(ops.not_equal(target_units[:, 1:], BLANK), "float32"), axis=1)
        known = ops.cast(units > 0, "float32")
        path = ops.argmax(teacher, axis=-1)
        moved = ops.not_equal(path, ops.pad(path, ((0, 0), (1, 0)), constant_values=BLANK)[:, :-1])
        spoken = ops.cast(ops.logical_and(moved, ops.not_equal(path, BLANK)), "float32")
        units = ops.where(known > 0, units, ops.sum(spoken * real, axis=1))
        soft = ops.sum(each * real, axis=1) / ops.maximum(units, 1)
        # The loss of texts needs a unit in every row; that of a row without a text does not count.
        padded = ops.pad(target_units, ((0, 0), (0, 1)), constant_values=BLANK)
        first = ops.cast(ops.arange(ops.shape(padded)[1]) == 1, "int32")
        padded = padded + first * ops.cast(1 - known, "int32")[:, None]
        hard = known * CtcLoss(reduction=None)(padded, y_pred)
        # Gradients of softened targets shrink with the square of the temperature.
        return TEACHER_SHARE * TEMPERATURE**2 * soft + (1 - TEACHER_SHARE) * hard


@keras.saving.register_keras_serializable("aitk.speech")
class JointLoss(keras.losses.Loss):
    """The losses of both heads of a joint model (Watanabe et al. 2017, equation 14).

    Args:
        ctc_weight: weight of the CTC loss; the decoder's cross-entropy per unit, counting the end
            of the text as a unit, gets the rest.
    """

    def __init__(self, ctc_weight: float = 0.3, name: str = "joint", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.ctc_weight = ctc_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # (batch, 1 + units), (batch, 1 + units + steps, classes) -> (batch,)
        y_true = ops.cast(y_true, "int32")
        y_pred = ops.cast(y_pred, "float32")
        units = y_true[:, 1:]
        places = ops.shape(units)[1] + 1
        by_steps = CtcLoss(reduction=None)(y_true, y_pred[:, places:])
        present = ops.not_equal(units, BLANK)
        wanted = ops.pad(units, ((0, 0), (0, 1)))  # the end after the last unit is 0, like padding
        weights = ops.cast(ops.pad(present, ((0, 0), (1, 0)), constant_values=True), "float32")
        each = ops.sparse_categorical_crossentropy(wanted, y_pred[:, :places], from_logits=True)
        in_turn = ops.sum(each * weights, axis=1) / ops.sum(weights, axis=1)
        return self.ctc_weight * by_steps + (1 - self.ctc_weight) * in_turn

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"ctc_weight": self.ctc_weight}


def ctc_losses(units: Tensor, logits: Tensor, steps: Tensor) -> Tensor:
    """Negative log-probabilities (batch,) of texts; 0 for texts with more units than steps allow.

    This can happen when fast recordings are sped up in training; at their stored speed, texts fit.


    Args:
        units: (batch, units) int32, at least one column, padded with 0 (the blank).
        logits: (batch, steps, classes) float32.
        steps: (batch,) int32, number of real steps.
    """
    present = ops.cast(ops.not_equal(units, BLANK), "int32")
    repeats = ops.cast(ops.equal(units[:, 1:], units[:, :-1]), "int32") * present[:, 1:]
    fits = ops.sum(present, axis=1) + ops.sum(repeats, axis=1) <= steps
    # An infinite loss has no gradient to multiply by zero, so such a text is truncated to one unit.
    first = ops.cast(ops.arange(ops.shape(units)[1]) == 0, "int32")
    units = units * ops.maximum(ops.cast(fits, "int32")[:, None], first)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        losses = tf.nn.ctc_loss(
            tf.sparse.from_dense(units),
            logits,
            None,
            steps,
            logits_time_major=False,
            blank_index=BLANK,
        )
    else:
        lengths = ops.sum(ops.cast(ops.not_equal(units, BLANK), "int32"), axis=1)
        losses = ops.nn.ctc_loss(units, logits, lengths, steps, mask_index=BLANK)
    return ops.where(fits, losses, 0.0)
