"""Box operations for models and losses, in Keras' backend-neutral operations.

A box is x_min, y_min, x_max, y_max in pixels of the model input.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

#: Scales of the four box offsets relative to an anchor, as in the code of SSD (Liu et al. 2016) and
#: of Fast R-CNN (Girshick 2015).
VARIANCES = (0.1, 0.1, 0.2, 0.2)
#: Offsets are limited so that no box is over 62.5 times as wide or high as its anchor.
MAX_GROWTH = math.log(1000 / 16)
EPSILON = 1e-7


def pairwise_iou(boxes: Any, others: Any) -> Any:
    """Intersection over union of every pair: (..., n, 4), (..., m, 4) -> (..., n, m)."""
    return _shares(ops.expand_dims(boxes, -2), ops.expand_dims(others, -3))[0]


def complete_iou(boxes: Any, others: Any) -> Any:
    """Complete IoU of paired boxes: (..., 4) -> (...).

    Zheng et al. 2020, section 3.2: IoU minus the distance of the centres, relative to the diagonal
    of the smallest enclosing box, minus a term for the difference in aspect ratio, whose weight has
    no gradient.
    """
    iou, sizes, other_sizes = _shares(boxes, others)
    around = ops.maximum(boxes[..., 2:], others[..., 2:]) - ops.minimum(
        boxes[..., :2], others[..., :2]
    )
    diagonal = ops.sum(around**2, axis=-1) + EPSILON
    between = boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:]
    distance = ops.sum(between**2, axis=-1) / 4
    angles = [ops.arctan2(each[..., 0], each[..., 1] + EPSILON) for each in (sizes, other_sizes)]
    shape = 4 / math.pi**2 * (angles[1] - angles[0]) ** 2
    weight = ops.stop_gradient(shape / (1 - iou + shape + EPSILON))
    return iou - distance / diagonal - weight * shape


def encode(boxes: Any, anchors: Any) -> Any:
    """Offsets of boxes from their anchors: (..., 4), (..., 4) -> (..., 4).

    Centre shifts relative to the anchor's sides, and logarithms of the size ratios (Girshick et al.
    2014, appendix C), each divided by its ``VARIANCES``.
    """
    centres, sizes = _centres_and_sizes(boxes)
    origins, scales = _centres_and_sizes(anchors)
    sizes, scales = ops.maximum(sizes, EPSILON), ops.maximum(scales, EPSILON)
    offsets = ops.concatenate([(centres - origins) / scales, ops.log(sizes / scales)], axis=-1)
    return offsets / ops.convert_to_tensor(VARIANCES, offsets.dtype)


def decode(offsets: Any, anchors: Any) -> Any:
    """The boxes at these offsets from anchors: the inverse of ``encode``."""
    offsets = offsets * ops.convert_to_tensor(VARIANCES, offsets.dtype)
    origins, scales = _centres_and_sizes(anchors)
    centres = origins + offsets[..., :2] * scales
    halves = scales * ops.exp(ops.minimum(offsets[..., 2:], MAX_GROWTH)) / 2
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def clip(boxes: Any, size: tuple[int, int]) -> Any:
    """Clip boxes to an image of a size (height, width)."""
    limits = ops.convert_to_tensor([size[1], size[0]] * 2, boxes.dtype)
    return ops.minimum(ops.maximum(boxes, 0.0), limits)


def areas(boxes: Any) -> Any:
    """(..., 4) -> (...), 0 for inverted boxes."""
    sizes = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sizes[..., 0] * sizes[..., 1]


def _shares(boxes: Any, others: Any) -> tuple[Any, Any, Any]:
    """IoU of boxes with broadcastable shapes, and the sides of both."""
    sizes, other_sizes = boxes[..., 2:] - boxes[..., :2], others[..., 2:] - others[..., :2]
    corner = ops.minimum(boxes[..., 2:], others[..., 2:])
    sides = ops.maximum(corner - ops.maximum(boxes[..., :2], others[..., :2]), 0.0)
    shared = sides[..., 0] * sides[..., 1]
    whole = areas(boxes) + areas(others) - shared
    return shared / ops.maximum(whole, EPSILON), sizes, other_sizes


def _centres_and_sizes(boxes: Any) -> tuple[Any, Any]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
