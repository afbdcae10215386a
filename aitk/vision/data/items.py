"""An image that the user's files name, before it is read."""

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
        crowd: 1 where a box is ignored in scoring.
    """

    corners: np.ndarray
    labels: tuple[str, ...]
    crowd: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClassMask:
    """The class of each pixel of one image.

    Attributes:
        numbers: (h, w) uint8; 255 is void.
        names: of the classes, by number; none where nobody names them.
    """

    numbers: np.ndarray
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """Where an image lies, and what is known of it.

    Attributes:
        image: reads the bytes of its file.
        name: identifies it among the user's.
        file: the user's file that names it.
        line: in that file, from 1.
        split: one of ``SPLITS``, or None.
        label: its class, or None.
        score: its number, where images have one; else None.
        labels: its classes, where images have any number of them; else None.
        boxes: makes its boxes of the (height, width) of the image; None where nobody looked
            for any.
        mask: makes its mask of the (height, width) of the image; None where it has none.
        size: (height, width) that its annotation says it has, or None.
        record: as it stood in the user's file.
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
