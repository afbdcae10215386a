"""Overlap of boxes. NumPy only; ``models/detectors/boxes.py`` has the versions for models.

A box is x_min, y_min, x_max, y_max in continuous pixel coordinates, so its width is
x_max - x_min.
"""

from __future__ import annotations

import numpy as np

from aitk.vision.features.geometry import box_areas


def overlaps(
    boxes: np.ndarray, others: np.ndarray, *, crowd: np.ndarray | None = None
) -> np.ndarray:
    """Intersection over union of every pair.

    Args:
        boxes: (n, 4).
        others: (m, 4).
        crowd: (m,), true for regions with many objects: for these, the share of the box inside the
            region is returned, as in COCO (Lin et al. 2014).

    Returns:
        (n, m) float64, 0 where both are empty.
    """
    boxes, others = np.asarray(boxes, np.float64), np.asarray(others, np.float64)
    corner = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(corner - np.maximum(boxes[:, None, :2], others[None, :, :2]), 0)
    shared = sides[..., 0] * sides[..., 1]  # (n, m)
    own = box_areas(boxes)[:, None]
    whole = own + box_areas(others)[None] - shared
    if crowd is not None:
        whole = np.where(np.asarray(crowd, bool)[None], own, whole)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def size_overlaps(sizes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes that share a corner: (n, 2), (m, 2) -> (n, m).

    Sizes are widths and heights above 0.
    """
    shared = np.minimum(sizes[:, None], others[None]).prod(axis=2)
    return shared / (sizes.prod(axis=1)[:, None] + others.prod(axis=1)[None] - shared)


def to_corner_and_size(boxes: np.ndarray) -> np.ndarray:
    """Corners to x_min, y_min, width, height (COCO): (n, 4)."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
