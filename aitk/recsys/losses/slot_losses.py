"""Losses of recommenders, with one value per slot of a row.

Ranking losses take ``y_true`` (batch, slots), the column of the positive item, and ``y_pred``
(batch, slots, columns), where columns at -1e9 are ignored. The value is the mean over slots,
weighted by ``sample_weight`` (batch, slots); slots of weight 0 are excluded from the mean.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor


class SlotLoss(keras.losses.Loss):
    """A loss with one value per slot."""

    def __init__(self, *, name: str | None = None):
        super().__init__(name=name, reduction="mean_with_sample_weight")


class SoftmaxLoss(SlotLoss):
    """Cross-entropy of the positive item among all columns."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right = ops.cast(y_true, "int32")
        return ops.sparse_categorical_crossentropy(right, y_pred, from_logits=True)


class BinaryLoss(SlotLoss):
    """Binary cross-entropy summed over the columns, with the positive probability to a power.

    A power ``beta`` of 1 is the loss of SASRec (Kang and McAuley 2018) and of neural matrix
    factorisation; below 1 it is gBCE (Petrov and Macdonald 2023), see ``gbce_beta``. The latter
    divides by the number of columns, which Adam would cancel except for its epsilon: with hundreds
    of columns, gradients of rare items would come close to it.

    Args:
        offset: added to every logit, without effect on rankings. At the log-odds of a positive,
            scores of 0 are calibrated, and training need not lower all scores first (the prior of
            Lin et al. 2017, section 3.3).
    """

    def __init__(self, *, beta: float = 1.0, offset: float = 0.0):
        super().__init__()
        self.beta = beta
        self.offset = offset

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_pred = y_pred + self.offset
        right, _ = _right(y_true, y_pred)
        # log(1 - sigmoid(x)) is -softplus(x), and the log of a power is a product.
        wrong = ops.sum(ops.softplus(y_pred), axis=-1) - ops.softplus(right)
        return self.beta * ops.softplus(-right) + wrong


class PairwiseLoss(SlotLoss):
    """BPR loss between the positive and each negative item (Rendle et al. 2009, section 4.1)."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right, columns = _right(y_true, y_pred)
        apart = ops.softplus(y_pred - ops.expand_dims(right, -1))
        return (ops.sum(apart, axis=-1) - math.log(2)) / (
            columns - 1
        )  # the positive itself contributes log 2


class RatingLoss(SlotLoss):
    """Squared error per slot, in standardised units of the ratings: (batch, slots)."""

    def __init__(self, *, scale: float):
        super().__init__()
        self.scale = scale

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.square((y_pred - y_true) / self.scale)


def gbce_beta(*, negatives: int, items: int, calibration: float) -> float:
    """The power of gBCE (Petrov and Macdonald 2023).

    Args:
        negatives: number sampled per positive item.
        items: size of the catalogue.
        calibration: 0 gives 1, plain binary cross-entropy; 1 gives the sampling rate, with
            calibrated probabilities.
    """
    rate = min(1.0, negatives / max(1, items - 1))
    return rate * (calibration * (1 - 1 / rate) + 1 / rate)


def ranking_loss(name: str, settings: Any, *, items: int) -> SlotLoss:
    """The loss of a recommender on its training logits.

    Args:
        name: ``pairwise``, ``softmax``, ``sampled-softmax``, ``bce`` or ``gbce``; the last one uses
            ``negatives`` and ``calibration`` of the settings.
        items: size of the catalogue.
    """
    if name == "pairwise":
        return PairwiseLoss()
    if name in ("softmax", "sampled-softmax"):
        return SoftmaxLoss()
    if name == "bce":
        return BinaryLoss()
    negatives = settings.negatives
    beta = gbce_beta(negatives=negatives, items=items, calibration=settings.calibration)
    return BinaryLoss(beta=beta, offset=math.log(beta / negatives))


def _right(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """The positive item's logit (batch, slots), and the number of columns."""
    index = ops.expand_dims(ops.cast(y_true, "int32"), -1)
    right = ops.squeeze(ops.take_along_axis(y_pred, index, axis=-1), -1)
    return right, ops.cast(ops.shape(y_pred)[-1], y_pred.dtype)
