"""Object outlines to masks and boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.vision.data.formats.run_lengths import decode_runs
from aitk.vision.features.geometry import VOID

#: The class of pixels outside every outline.
BACKGROUND = "background"
# OpenCV also fills the pixels that an edge touches. Outlines are therefore drawn at five times the
# size, in sixteenths of a pixel, and the centre of each 5 x 5 block is used.
_FINER, _SHIFT = 5, 4
_MAX_CANVAS = 400_000_000


def fill_shapes(shapes: Sequence[tuple[int, Any]], *, height: int, width: int) -> np.ndarray:
    """Draw outlines, largest first, so that small ones stay visible.

    Args:
        shapes: class number and polygons or run lengths of each (see ``shape_mask``).

    Returns:
        (height, width) uint8 numbers, 0 where there is no shape.

    Raises:
        DataError: a shape cannot be drawn.
    """
    largest = max((number for number, _ in shapes), default=0)
    if largest > VOID:
        raise DataError(f"has class number {largest}, but a mask holds {VOID} classes")
    # Draw in two passes: the masks of all shapes of a large image could fill the memory.
    areas = [int(shape_mask(shape, height=height, width=width).sum()) for _, shape in shapes]
    numbers = np.zeros((height, width), np.uint8)
    for at in sorted(range(len(shapes)), key=lambda at: -areas[at]):
        number, shape = shapes[at]
        numbers[shape_mask(shape, height=height, width=width)] = number
    return numbers


def shape_mask(shape: Any, *, height: int, width: int) -> np.ndarray:
    """The pixels inside COCO's ``segmentation``: polygons [[x, y, x, y, ...], ...] or RLE.

    Returns:
        (height, width) bool. A pixel belongs to a polygon if its centre does.

    Raises:
        DataError: the value is neither, or its size differs.
    """
    import cv2

    if isinstance(shape, Mapping):
        return decode_runs(shape, height=height, width=width)
    inside = np.zeros((height, width), bool)
    for points in polygons(shape):
        left, top = np.clip(np.floor(points.min(axis=0)), 0, [width, height]).astype(int)
        right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, [width, height]).astype(int)
        if right <= left or bottom <= top:
            continue
        rows = max(1, _MAX_CANVAS // ((right - left) * _FINER**2))
        for start in range(top, bottom, rows):
            # Process strips: for a large image, a 25-fold enlargement could fill the memory.
            stop = min(start + rows, bottom)
            canvas = np.zeros(((stop - start) * _FINER, (right - left) * _FINER), np.uint8)
            # OpenCV coordinates refer to pixel centres.
            fine = (points - [left, start]) * _FINER - 0.5
            cv2.fillPoly(canvas, [np.round(fine * (1 << _SHIFT)).astype(np.int32)], 1, shift=_SHIFT)
            middle = _FINER // 2
            inside[start:stop, left:right] |= canvas[middle::_FINER, middle::_FINER] > 0
    return inside


def drop_degenerate(shape: Any) -> tuple[Any, int]:
    """Remove parts of an outline with under three points; return it and the number removed.

    A flat list [x, y, x, y, ...] is one polygon, and so is a list [[x, y], [x, y], ...] of at
    least three points. Other values are returned unchanged.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        return shape, 0
    flat = all(isinstance(value, int | float) for value in shape)
    points = len(shape) >= 3 and all(isinstance(p, Sequence) and len(p) == 2 for p in shape)
    parts = [shape] if flat or points else list(shape)
    kept = [part for part in parts if not _is_degenerate(part)]
    return kept, len(parts) - len(kept)


def _is_degenerate(part: Any) -> bool:
    """Whether a part [x, y, x, y, ...] or [[x, y], ...] of an outline has under three points."""
    if not isinstance(part, Sequence) or isinstance(part, str):
        return False
    is_nested = bool(part) and all(isinstance(point, Sequence) for point in part)
    return len(part) < 3 if is_nested else len(part) < 6 and len(part) % 2 == 0


def polygons(shape: Any) -> list[np.ndarray]:
    """The polygons of a shape, (points, 2) each.

    Raises:
        DataError: the shape is not made of polygons, or one has under three points or a non-number.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        raise DataError("has an outline that is neither polygons nor run lengths")
    found = []
    for flat in shape:
        try:
            points = np.array(flat, np.float64).reshape(-1, 2)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError("has a polygon that is not a list of x, y, x, y") from error
        if len(points) < 3 or not np.isfinite(points).all() or np.abs(points).max() > 1e5:
            raise DataError("has a polygon of under three points, or coordinates out of range")
        found.append(points)
    return found


def box_of(shape: Any, *, height: int, width: int) -> list[float]:
    """Bounding box of an outline: x_min, y_min, x_max, y_max; empty outlines have zero area."""
    if isinstance(shape, Mapping):
        rows, columns = np.nonzero(decode_runs(shape, height=height, width=width))
        if not len(rows):
            return [0.0, 0.0, 0.0, 0.0]
        return [
            float(columns.min()), float(rows.min()), columns.max() + 1.0, rows.max() + 1.0
        ]  # fmt: skip
    points = np.concatenate(polygons(shape))
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
