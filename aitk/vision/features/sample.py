"""An annotated image on its way through augmentation into a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

#: Annotation kinds, in the order of predictions and scores.
KINDS = ("label", "boxes", "mask")
#: Target key in multi-task data: (batch, heads), 1 where a row has an annotation for the head, in
#: alphabetical order of the heads.
KNOWN = "known"


def _no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def _no_numbers() -> np.ndarray:
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class Sample:
    """One image of the model's input size, with annotations in its pixels.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        label: its class number, or None.
        shares: class number -> share, summing to 1, in training with mixed images (mosaic, mixup),
            where ``label`` is the class with the largest share; None without mixing. See
            ``soft_labels``.
        boxes: (n, 4) float32, x_min, y_min, x_max, y_max.
        classes: (n,) int32, the class of each box.
        crowd: (n,) int32, 1 for boxes that scoring ignores.
        boxes_known: whether boxes were annotated at all; an annotated image may have none.
        mask: (h, w) uint8, the class of each pixel, 255 = void; or None.
    """

    image: np.ndarray
    label: int | None = None
    shares: Mapping[int, float] | None = None
    boxes: np.ndarray = field(default_factory=_no_boxes)
    classes: np.ndarray = field(default_factory=_no_numbers)
    crowd: np.ndarray = field(default_factory=_no_numbers)
    boxes_known: bool = True
    mask: np.ndarray | None = None


def soft_labels(samples: Sequence[Sample], classes: int) -> np.ndarray:
    """(samples, classes) float32 class shares; zeros for unlabelled samples."""
    labels = np.zeros((len(samples), classes), np.float32)
    for row, sample in zip(labels, samples, strict=True):
        shares = sample.shares or ({} if sample.label is None else {sample.label: 1.0})
        for number, share in shares.items():
            if number >= 0:  # negative numbers are classes unseen in training
                row[number] = share
    return labels
