"""What the recommenders are trained with: losses with a value for each slot of a row.

The rankers' take ``y_true`` (batch, slots), the column of the right item, and ``y_pred`` (batch,
slots, columns), where a column at -1e9 takes no part. The value is the mean over slots, weighted
by ``sample_weight`` (batch, slots): a weight of 0 takes a slot out of the mean as well.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor


class SlotLoss(keras.losses.Loss):
    """A loss with a value a slot."""

    def __init__(self, *, name: str | None = None):
        super().__init__(name=name, reduction="mean_with_sample_weight")


class SoftmaxLoss(SlotLoss):
    """Cross entropy of the right item among all columns."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right = ops.cast(y_true, "int32")
        return ops.sparse_categorical_crossentropy(right, y_pred, from_logits=True)


class BinaryLoss(SlotLoss):
    """Binary cross entropy summed over the columns; the right probability to a power.

    A power ``beta`` of 1 is the loss of SASRec (Kang and McAuley 2018) and of neural
    matrix factorisation; below 1 it is gBCE (Petrov and Macdonald 2023), see
    ``gbce_beta``. The latter divides by the number of columns, which Adam would undo but for its
    epsilon: with hundreds of columns the gradients of rare items would come near it.

    Args:
        offset: added to every logit, which changes no ranking. At the log odds of a column being
            the right one, scores of 0 are calibrated, and training need not first push all of
            them down (the prior of Lin et al. 2017, section 3.3).
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
    """How far the right item is from being ahead of each wrong one (Rendle et al. 2009, 4.1)."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right, columns = _right(y_true, y_pred)
        apart = ops.softplus(y_pred - ops.expand_dims(right, -1))
        return (ops.sum(apart, axis=-1) - math.log(2)) / (columns - 1)  # the right one: log 2


class RatingLoss(SlotLoss):
    """The squared error, in units of the ratings' spread: (batch, slots) of each."""

    def __init__(self, *, scale: float):
        super().__init__()
        self.scale = scale

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.square((y_pred - y_true) / self.scale)


def gbce_beta(*, negatives: int, items: int, calibration: float) -> float:
    """The power of gBCE (Petrov and Macdonald 2023).

    Args:
        negatives: sampled for each right item.
        items: in the catalogue.
        calibration: 0 gives 1, plain binary cross entropy; 1 gives the sampling rate, with which
            probabilities come out calibrated.
    """
    rate = min(1.0, negatives / max(1, items - 1))
    return rate * (calibration * (1 - 1 / rate) + 1 / rate)


def ranking_loss(name: str, settings: Any, *, items: int) -> SlotLoss:
    """The loss of a recommender over the logits it gives in training.

    Args:
        name: ``pairwise``, ``softmax``, ``sampled-softmax``, ``bce`` or ``gbce``; the latter reads
            ``negatives`` and ``calibration`` of the settings.
        items: in the catalogue.
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
    """The right item's logit (batch, slots), and how many columns there are."""
    index = ops.expand_dims(ops.cast(y_true, "int32"), -1)
    right = ops.squeeze(ops.take_along_axis(y_pred, index, axis=-1), -1)
    return right, ops.cast(ops.shape(y_pred)[-1], y_pred.dtype)
