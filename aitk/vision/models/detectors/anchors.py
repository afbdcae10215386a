"""Positions of a detector on its feature maps, and their anchor boxes.

NumPy only. Positions are ordered like the detectors' raw outputs: levels from fine to coarse,
rows, columns, and finally the anchors of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aitk.vision.features.boxes import size_overlaps

#: Default sides in strides if the training images have no boxes (Lin et al. 2017).
USUAL_SIDES = 4.0
ROUNDS = 100
#: Clusters start within the box sizes between these quantiles: otherwise two boxes of a pixel among
#: thousands would claim half of the anchors.
OUTLIERS = 0.005


def centre_points(
    shapes: Sequence[tuple[int, int]], strides: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The centre (x, y) in pixels of each position of the feature maps, and its stride.

    Args:
        shapes: rows and columns of each map.
        strides: image pixels per cell of each map.

    Returns:
        (positions, 2) and (positions, 1), both float32.
    """
    points, steps = [], []
    for stride, (rows, columns) in zip(strides, shapes, strict=True):
        y, x = np.mgrid[:rows, :columns]
        points.append((np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * stride)
        steps.append(np.full((rows * columns, 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(steps).astype(np.float32)


def anchor_boxes(
    shapes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    sides: Sequence[Sequence[Sequence[float]]],
) -> np.ndarray:
    """The anchors of an image: (positions * anchors, 4) float32.

    Args:
        shapes: rows and columns of each map.
        strides: image pixels per cell of each map.
        sides: for each map the (width, height) in pixels of the anchors of a cell.
    """
    boxes = []
    for shape, stride, pairs in zip(shapes, strides, sides, strict=True):
        points, _ = centre_points([shape], [stride])
        halves = np.asarray(pairs, np.float32)[None] / 2  # (1, anchors, 2)
        corners = [points[:, None] - halves, points[:, None] + halves]
        boxes.append(np.concatenate(corners, axis=2).reshape(-1, 4))
    return np.concatenate(boxes)


def learn_anchors(
    sizes: np.ndarray, strides: Sequence[int], *, each: int
) -> list[list[list[float]]]:
    """Anchor sizes that suit the boxes of the training images.

    Clusters of widths and heights with 1 - IoU as the distance (Redmon and Farhadi 2017, section
    2), initialised evenly from small to large; the small ones go to the fine levels.


    Args:
        sizes: (n, 2) widths and heights in pixels of the resized images.
        strides: strides of the levels, from fine to coarse.
        each: anchors per cell.

    Returns:
        For each stride ``each`` pairs of width and height, in the form of ``anchor_boxes``.
    """
    count = each * len(strides)
    sizes = sizes[(sizes > 0).all(axis=1)]
    if not len(sizes):
        growth = 2 ** (np.arange(each) / each)
        return [[[USUAL_SIDES * stride * g] * 2 for g in growth.tolist()] for stride in strides]
    ordered = sizes[np.argsort(sizes.prod(axis=1), kind="stable")].astype(np.float64)
    # Evenly by logarithm, not by rank, so that rare sizes get anchors too.
    logs = np.log(ordered.prod(axis=1)) / 2
    first, last = np.quantile(logs, (OUTLIERS, 1 - OUTLIERS))
    centres = np.exp(np.linspace(first, last, 2 * count + 1)[1::2])[:, None].repeat(2, axis=1)
    nearest = np.full(len(ordered), -1)
    for _ in range(ROUNDS):
        found = size_overlaps(ordered, centres).argmax(axis=1)
        if (found == nearest).all():
            break
        nearest = found
        for cluster in np.unique(nearest):
            centres[cluster] = np.median(ordered[nearest == cluster], axis=0)
    centres = centres[np.argsort(centres.prod(axis=1), kind="stable")]
    return centres.reshape(len(strides), each, 2).round(2).tolist()
