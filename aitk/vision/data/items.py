"""An image named in the user's files, before it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Boxes:
    """The boxes of one image.

    Attributes:
        corners: (n, 4) x_min, y_min, x_max, y_max in pixels of the upright image.
        labels: the class of each.
        crowd: 1 for boxes that scoring ignores.
    """

    corners: np.ndarray
    labels: tuple[str, ...]
    crowd: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClassMask:
    """The class of each pixel of one image.

    Attributes:
        numbers: (h, w) uint8; 255 is void.
        names: class names by number; empty if unknown.
    """

    numbers: np.ndarray
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An image and its annotations.

    Attributes:
        image: reads the bytes of its file.
        name: identifies the image among the sources.
        file: the user's file that lists it.
        line: line in that file, from 1.
        split: one of ``SPLITS``, or None.
        label: its class, or None.
        score: its numeric target, or None.
        labels: its classes in multi-label data, else None.
        boxes: computes its boxes from the (height, width) of the image; None if they are unknown.
        mask: computes its mask from the (height, width) of the image, or None.
        size: (height, width) declared by its annotation, or None.
        record: the original record from the user's file.
    """

    image: Callable[[], bytes]
    name: str
    file: str
    line: int
    split: str | None = None
    label: str | None = None
    labels: Sequence[str] | None = None
    score: float | None = None
    boxes: Callable[[int, int], Boxes] | None = None
    mask: Callable[[int, int], ClassMask] | None = None
    size: tuple[int, int] | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
