"""Segmentation losses: cross-entropy, Dice, focal, Lovasz-softmax, and their sums.

Each maps ``y_true`` (batch, height, width), the class number of every pixel, and ``y_pred``
(batch, height, width, classes), logits, to one value per image. Void pixels are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from aitk.core.layers import Tensor
from aitk.vision.features.geometry import VOID

#: The best exponent for the paper's dense detectors (Lin et al. 2017, section 5.1).
FOCUS = 2.0


@keras.saving.register_keras_serializable("aitk.vision")
class SegmentationLoss(keras.losses.Loss):
    """The sum of the losses named in a setting.

    Args:
        terms: names joined by +, as in ``ce+dice``.
        class_weights: pixel weight of each class, in cross-entropy and focal loss. The other losses
            weight all classes equally by definition.
    """

    def __init__(
        self,
        terms: str = "ce",
        class_weights: Sequence[float] = (),
        name: str = "segmentation",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.terms = terms
        self.class_weights = tuple(class_weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # (batch, height, width), (batch, height, width, classes) -> (batch,)
        y_true = ops.cast(y_true, "int32")
        y_pred = ops.cast(y_pred, "float32")
        known = ops.cast(ops.not_equal(y_true, VOID), "float32")
        # Void pixels get a valid class for the computation and are masked out afterwards.
        labels = ops.where(ops.equal(y_true, VOID), 0, y_true)
        total = 0.0
        for term in self.terms.split("+"):
            if term in _BY_PIXEL:
                total += self._mean_of_pixels(_BY_PIXEL[term](labels, y_pred), labels, known)
            else:
                total += _BY_REGION[term](labels, y_pred, known)
        return total

    def get_config(self) -> dict[str, Any]:
        own = {"terms": self.terms, "class_weights": list(self.class_weights)}
        return super().get_config() | own

    def _mean_of_pixels(self, losses: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        """The mean over the known pixels of each image, 0 if it has none."""
        if self.class_weights:
            # Not divided by the sum of the weights: an image with frequent classes alone would then
            # have as much weight as one with rare ones.
            losses = losses * ops.take(ops.array(self.class_weights, "float32"), labels)
        pixels = ops.sum(known, axis=(1, 2))
        return ops.sum(losses * known, axis=(1, 2)) / ops.maximum(pixels, 1)


def median_frequency_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Median class frequency divided by each class frequency (Eigen and Fergus 2015, sec. 6.3.2).

    Args:
        counts: pixels of each class in the training rows. A class without pixels gets weight 0 and
            does not affect the median.
    """
    present = sorted(count for count in counts if count)
    if not present:
        return (0.0,) * len(counts)
    half = len(present) // 2
    median = (present[half] + present[-1 - half]) / 2
    return tuple(median / count if count else 0.0 for count in counts)


def _cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def _focal(labels: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy, down-weighted for confident predictions (Lin et al. 2017, equation 4)."""
    losses = _cross_entropy(labels, logits)
    return (1 - ops.exp(-losses)) ** FOCUS * losses


def _dice(labels: Tensor, logits: Tensor, known: Tensor) -> Tensor:
    """1 - the Dice coefficient with squares in its denominator (Milletari et al. 2016, section 3).

    Over the batch as a whole, averaged over the classes present.
    """
    classes = logits.shape[-1]
    right = ops.exp(-_cross_entropy(labels, logits))  # the probability of each pixel's own class
    flat, known = ops.reshape(labels, (-1,)), ops.reshape(known, (-1,))
    pixels = ops.segment_sum(known, flat, num_segments=classes)
    both = ops.segment_sum(ops.reshape(right, (-1,)) * known, flat, num_segments=classes)
    probabilities = ops.reshape(ops.softmax(logits, axis=-1), (-1, classes))
    squares = ops.matmul(known[None], ops.square(probabilities))[0]
    each = 1 - 2 * both / ops.maximum(pixels + squares, 1e-6)  # (classes,)
    return _mean_of_present(each, pixels > 0, rows=ops.shape(labels)[0])


def _lovasz(labels: Tensor, logits: Tensor, known: Tensor) -> Tensor:
    """The Lovasz extension of 1 - IoU, which is convex in the errors (Berman et al. 2018, eq. 9).

    Over the batch as a whole, averaged over the classes present. A void pixel has error 0 and
    sorts last, where it has no effect.
    """
    truth, probabilities = _planes(labels, logits, known)
    errors = ops.abs(truth - probabilities)  # (classes, pixels)
    order = ops.argsort(ops.stop_gradient(-errors), axis=1)
    errors = ops.take_along_axis(errors, order, axis=1)
    truth_sorted = ops.take_along_axis(truth, order, axis=1)
    total = ops.sum(truth, axis=1, keepdims=True)
    left = total - ops.cumsum(truth_sorted, axis=1)
    union = total + ops.cumsum(1 - truth_sorted, axis=1)
    lost = 1 - left / ops.maximum(union, 1)
    gains = ops.concatenate([lost[:, :1], lost[:, 1:] - lost[:, :-1]], axis=1)
    losses = ops.sum(errors * gains, axis=1)
    return _mean_of_present(losses, total[:, 0] > 0, rows=ops.shape(labels)[0])


def _planes(labels: Tensor, logits: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Truth and probabilities of each class, (classes, pixels of the batch), both 0 in void."""
    classes = logits.shape[-1]
    known = ops.reshape(known, (1, -1))
    truth = ops.one_hot(ops.reshape(labels, (-1,)), classes, axis=0, dtype="float32")
    probabilities = ops.reshape(ops.softmax(logits, axis=-1), (-1, classes))
    return truth * known, ops.transpose(probabilities) * known


def _mean_of_present(losses: Tensor, present: Tensor, *, rows: Tensor) -> Tensor:
    """The mean over the classes present in the batch, repeated for each image."""
    present = ops.cast(present, "float32")
    mean = ops.sum(losses * present) / ops.maximum(ops.sum(present), 1)
    return ops.broadcast_to(mean, (rows,))


_BY_PIXEL = {"ce": _cross_entropy, "focal": _focal}
_BY_REGION = {"dice": _dice, "lovasz": _lovasz}
