"""Validity of boxes: a positive area, inside the image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import MAX_LABEL_CHARACTERS, normalise
from aitk.core.io.names import shorten
from aitk.core.io.values import to_number
from aitk.vision.data.items import Boxes

#: Tolerance in pixels for rounding and other pixel conventions.
TOLERANCE = 1.0


def make_boxes(
    corners: Sequence[Sequence[Any]], labels: Sequence[Any], crowd: Sequence[Any] | None = None
) -> Boxes:
    """Create ``Boxes`` from raw file values.

    Raises:
        DataError: a box is not four numbers, or has no class.
    """
    if len(labels) != len(corners) or (crowd is not None and len(crowd) != len(corners)):
        raise DataError(f"has {len(corners)} boxes but {len(labels)} box classes")
    values = np.zeros((len(corners), 4))
    names = []
    for at, (box, label) in enumerate(zip(corners, labels, strict=True)):
        name = "" if label is None else normalise(str(label))
        if not name:
            raise DataError(f"box {at + 1} has no class")
        if len(name) > MAX_LABEL_CHARACTERS:
            raise DataError(
                f"the class of box {at + 1} is longer than {MAX_LABEL_CHARACTERS:,} characters"
            )
        try:
            values[at] = [to_number(value) for value in box]
        except (ValueError, TypeError) as error:
            raise DataError(f"box {at + 1} ({shorten(name)}) is not four numbers") from error
        names.append(name)
    ignored = [0] * len(names) if crowd is None else [int(is_true(value)) for value in crowd]
    return Boxes(values, tuple(names), tuple(ignored))


def is_true(value: Any) -> bool:
    """Whether a value is true; tables may spell it as a word."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "0.0", "false", "no")
    return bool(value)


def without(boxes: Boxes, ignored: Collection[str]) -> Boxes:
    """The boxes of classes that are not ignored."""
    return _kept(boxes, [at for at, name in enumerate(boxes.labels) if name not in ignored])


def drop_empty(boxes: Boxes) -> tuple[Boxes, int]:
    """Remove boxes with a side of length 0; return the rest and the number removed."""
    sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
    is_empty = (sides == 0).any(axis=1) & (sides >= 0).all(axis=1)
    return _kept(boxes, np.flatnonzero(~is_empty).tolist()), int(is_empty.sum())


def _kept(boxes: Boxes, places: Sequence[int]) -> Boxes:
    if len(places) == len(boxes.labels):
        return boxes
    return Boxes(
        boxes.corners[list(places)],
        tuple(boxes.labels[at] for at in places),
        tuple(boxes.crowd[at] for at in places),
    )


def check_boxes(boxes: Boxes, *, height: int, width: int) -> np.ndarray:
    """Clip boxes to their image, by one pixel at most.

    Returns:
        (n, 4) float32 x_min, y_min, x_max, y_max.

    Raises:
        DataError: a box has no area, or extends further. The whole image is refused: training on it
            without one of its boxes would teach a wrong target.
    """
    edges = np.array([width, height, width, height], float)
    clipped = np.clip(boxes.corners, 0.0, edges)
    for at, (box, inside) in enumerate(zip(boxes.corners, clipped, strict=True)):
        box_text = f"box {at + 1} ({boxes.labels[at]}: {', '.join(f'{value:g}' for value in box)})"
        if not np.isfinite(box).all():
            raise DataError(f"{box_text} is not four numbers")
        if box[2] <= box[0] or box[3] <= box[1]:
            raise DataError(f"{box_text} has no area")
        if np.abs(box - inside).max() > TOLERANCE:
            raise DataError(f"{box_text} extends beyond the image of {width} x {height}")
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            raise DataError(f"{box_text} is outside the image of {width} x {height}")
    return clipped.astype(np.float32)
