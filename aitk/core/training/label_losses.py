"""Multi-label losses: one logistic regression per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.compression.distill import TEACHER_SHARE, TEMPERATURE


class MultiLabelLoss(keras.losses.Loss):
    """Binary cross-entropy of each class, averaged over classes.

    ``y_true`` (batch, classes + 1 or more): 1 for each label of the row; values after the classes
    are ignored. ``y_pred`` (batch, classes): logits. Returns (batch,).

    Args:
        weights: (classes,) weight of the rows with the label, per class; empty for 1.
        smoothing: share of the targets moved to one half (Szegedy et al. 2016, section 7).
    """

    def __init__(self, weights: Sequence[float] = (), *, smoothing: float = 0.0):
        super().__init__(name="multi_label_loss")
        self._weights = np.asarray(weights, np.float32) if len(weights) else None
        self._smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        hot = ops.cast(y_true[..., : y_pred.shape[-1]], y_pred.dtype)
        targets = hot * (1 - self._smoothing) + self._smoothing / 2
        losses = binary_losses(targets, y_pred)
        if self._weights is not None:
            losses = losses * (1 + hot * ops.cast(self._weights - 1, y_pred.dtype))
        return ops.mean(losses, axis=-1)


class MultiLabelDistillation(keras.losses.Loss):
    """Binary cross-entropy with a teacher's softened probabilities and with the true labels.

    ``y_true`` (batch, 2 * classes + 1): the targets as for ``MultiLabelLoss``, with a negative
    value after the classes of a row without labels; then the teacher's logits. Hinton et al. 2015,
    section 2, with each class as a binary decision.
    """

    #: Configuration recorded in the run.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = y_pred.shape[-1]
        y_true = ops.cast(y_true, y_pred.dtype)
        softened = ops.sigmoid(y_true[..., -classes:] / TEMPERATURE)
        soft = TEMPERATURE**2 * binary_losses(softened, y_pred / TEMPERATURE)
        known = ops.cast(y_true[..., classes : classes + 1] >= 0, y_pred.dtype)
        hard = known * binary_losses(y_true[..., :classes], y_pred)
        return ops.mean(TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * hard, axis=-1)


def binary_losses(targets: Any, logits: Any) -> Any:
    """Elementwise binary cross-entropy, without overflow."""
    return ops.relu(logits) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))
