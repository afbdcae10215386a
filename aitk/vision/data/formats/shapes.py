"""Outlines of objects as masks and boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.vision.data.formats.run_lengths import decode_runs
from aitk.vision.features.geometry import VOID

#: The class of pixels that no outline holds.
BACKGROUND = "background"
# OpenCV also fills the pixels that an edge touches. So outlines are drawn five times as large, in
# sixteenths of a pixel, and of each five by five the middle one counts.
_FINER, _SHIFT = 5, 4
_MAX_CANVAS = 400_000_000


def fill_shapes(shapes: Sequence[tuple[int, Any]], *, height: int, width: int) -> np.ndarray:
    """Draw outlines, the largest first, so that what is small stays visible.

    Args:
        shapes: the class number of each, and its polygons or run lengths (see ``shape_mask``).

    Returns:
        (height, width) uint8 numbers, 0 where there is no shape.

    Raises:
        DataError: a shape cannot be drawn.
    """
    largest = max((number for number, _ in shapes), default=0)
    if largest > VOID:
        raise DataError(f"has a class of the number {largest}, and a mask holds {VOID} classes")
    # Drawn twice: the masks of all shapes of a large image could fill the memory.
    areas = [int(shape_mask(shape, height=height, width=width).sum()) for _, shape in shapes]
    numbers = np.zeros((height, width), np.uint8)
    for at in sorted(range(len(shapes)), key=lambda at: -areas[at]):
        number, shape = shapes[at]
        numbers[shape_mask(shape, height=height, width=width)] = number
    return numbers


def shape_mask(shape: Any, *, height: int, width: int) -> np.ndarray:
    """The pixels inside of COCO's ``segmentation``: polygons [[x, y, x, y, ...], ...] or RLE.

    Returns:
        (height, width) bool. A polygon holds the pixels whose centre it holds.

    Raises:
        DataError: it is neither, or of another size.
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
            # In strips: where the image is large, 25 times as much could fill the memory.
            stop = min(start + rows, bottom)
            canvas = np.zeros(((stop - start) * _FINER, (right - left) * _FINER), np.uint8)
            # OpenCV's coordinates are those of the centres of pixels.
            fine = (points - [left, start]) * _FINER - 0.5
            cv2.fillPoly(canvas, [np.round(fine * (1 << _SHIFT)).astype(np.int32)], 1, shift=_SHIFT)
            middle = _FINER // 2
            inside[start:stop, left:right] |= canvas[middle::_FINER, middle::_FINER] > 0
    return inside


def drop_degenerate(shape: Any) -> tuple[Any, int]:
    """An outline without its parts of under three points, and how many parts that were.

    A flat list [x, y, x, y, ...] is one polygon, and so is a list of three points or more
    [[x, y], [x, y], ...]. What is no outline stays as it is.
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
        DataError: they are none, have under three points, or hold what is no number.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        raise DataError("has an outline that is neither polygons nor run lengths")
    found = []
    for flat in shape:
        try:
            points = np.array(flat, np.float64).reshape(-1, 2)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError("has a polygon that is no list of x, y, x, y") from error
        if len(points) < 3 or not np.isfinite(points).all() or np.abs(points).max() > 1e5:
            raise DataError("has a polygon of under three points, or with one out of reach")
        found.append(points)
    return found


def box_of(shape: Any, *, height: int, width: int) -> list[float]:
    """The box around an outline: x_min, y_min, x_max, y_max; without area where it has none."""
    if isinstance(shape, Mapping):
        rows, columns = np.nonzero(decode_runs(shape, height=height, width=width))
        if not len(rows):
            return [0.0, 0.0, 0.0, 0.0]
        return [
            float(columns.min()), float(rows.min()), columns.max() + 1.0, rows.max() + 1.0
        ]  # fmt: skip
    points = np.concatenate(polygons(shape))
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
