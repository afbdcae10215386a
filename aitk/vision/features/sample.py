"""An image with what is known of it, as it goes through augmentation into a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

#: The kinds of annotation, in the order of predictions and scores.
KINDS = ("label", "boxes", "mask")
#: Among the targets of several heads: (batch, heads), 1 where a row has an annotation of the head,
#: in the order of the heads' names.
KNOWN = "known"


def _no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def _no_numbers() -> np.ndarray:
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class Sample:
    """One image of the model's size, its annotation in pixels of it.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        label: number of its class; None where it has none.
        shares: class number -> share, summing to 1, in training that joins images (mosaic,
            mixup), where ``label`` is the class of the largest share; None where images are
            never joined. See ``soft_labels``.
        boxes: (n, 4) float32, x_min, y_min, x_max, y_max.
        classes: (n,) int32, the class of each box.
        crowd: (n,) int32, 1 where a box is ignored in scoring.
        boxes_known: whether boxes were annotated at all; an annotated image may have none.
        mask: (h, w) uint8, the class of each pixel, 255 = void; None where it has no mask.
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
    """(samples, classes) float32: the share of each class; zeros where there is no label."""
    labels = np.zeros((len(samples), classes), np.float32)
    for row, sample in zip(labels, samples, strict=True):
        shares = sample.shares or ({} if sample.label is None else {sample.label: 1.0})
        for number, share in shares.items():
            if number >= 0:  # below are those that training never saw
                row[number] = share
    return labels
