"""The loss of connectionist temporal classification for Keras' training loop.

On TensorFlow it is ``tf.nn.ctc_loss`` with sparse labels, ten times as fast as ``keras.ops``' own;
elsewhere that one. Both have the same values.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from aitk.speech.units import BLANK


def ctc_targets(texts: Sequence[Sequence[int]], steps: Sequence[int]) -> np.ndarray:
    """What a batch's targets are: (batch, 1 + units) int32.

    The first column is how many steps of the row are real, the others are its units; 0 fills up.
    """
    targets = np.zeros((len(texts), 1 + max(map(len, texts), default=0)), np.int32)
    for row, (units, count) in enumerate(zip(texts, steps, strict=True)):
        targets[row, 0] = count
        targets[row, 1 : 1 + len(units)] = units
    return targets


@keras.saving.register_keras_serializable("aitk")
class CtcLoss(keras.losses.Loss):
    """Minus the logarithm of a text's probability over all its paths, per unit of the text.

    Args:
        per_unit: divide by the units of the text, so that long ones do not outweigh short ones.
    """

    def __init__(self, per_unit: bool = True, name: str = "ctc", **kwargs):
        super().__init__(name=name, **kwargs)
        self.per_unit = per_unit

    def call(self, y_true, y_pred):
        # (batch, 1 + units), (batch, steps, classes) -> (batch,)
        y_true = ops.cast(y_true, "int32")
        units = y_true[:, 1:]
        losses = ctc_losses(units, ops.cast(y_pred, "float32"), y_true[:, 0])
        if not self.per_unit:
            return losses
        lengths = ops.sum(ops.cast(ops.not_equal(units, BLANK), "float32"), axis=1)
        return losses / ops.maximum(lengths, 1)

    def get_config(self):
        return super().get_config() | {"per_unit": self.per_unit}


@keras.saving.register_keras_serializable("aitk")
class JointLoss(keras.losses.Loss):
    """The losses of both heads of a joint model (Watanabe et al. 2017, equation 14).

    Args:
        ctc_weight: of the loss of the steps; that of the decoder, the cross-entropy per unit with
            the end of the text as one more, has the rest.
    """

    def __init__(self, ctc_weight: float = 0.3, name: str = "joint", **kwargs):
        super().__init__(name=name, **kwargs)
        self.ctc_weight = ctc_weight

    def call(self, y_true, y_pred):
        # (batch, 1 + units), (batch, steps + 1 + units, classes) -> (batch,)
        y_true = ops.cast(y_true, "int32")
        y_pred = ops.cast(y_pred, "float32")
        units = y_true[:, 1:]
        places = ops.shape(units)[1] + 1
        by_steps = CtcLoss(reduction=None)(y_true, y_pred[:, :-places])
        present = ops.not_equal(units, BLANK)
        wanted = ops.pad(units, ((0, 0), (0, 1)))  # the end after the last unit is 0, as padding is
        weights = ops.cast(ops.pad(present, ((0, 0), (1, 0)), constant_values=True), "float32")
        each = ops.sparse_categorical_crossentropy(wanted, y_pred[:, -places:], from_logits=True)
        in_turn = ops.sum(each * weights, axis=1) / ops.sum(weights, axis=1)
        return self.ctc_weight * by_steps + (1 - self.ctc_weight) * in_turn

    def get_config(self):
        return super().get_config() | {"ctc_weight": self.ctc_weight}


def ctc_losses(units, logits, steps):
    """Minus log-probabilities (batch,) of texts; 0 where a text has more units than steps allow.

    That happens to the fastest of sounds when they are sped up in training; as they are stored,
    texts fit their sounds.

    Args:
        units: (batch, units) int32, at least one a row, 0 (the blank) where a text is over.
        logits: (batch, steps, classes) float32.
        steps: (batch,) int32, how many are real.
    """
    present = ops.cast(ops.not_equal(units, BLANK), "int32")
    repeats = ops.cast(ops.equal(units[:, 1:], units[:, :-1]), "int32") * present[:, 1:]
    fits = ops.sum(present, axis=1) + ops.sum(repeats, axis=1) <= steps
    # An infinite loss has no gradient to multiply by zero: such a text is cut to one unit.
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
