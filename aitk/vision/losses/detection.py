"""Losses of detectors: from raw rows and padded objects to one loss per image.

Targets are (batch, most, 6) float32, as defined in ``matching``. The loss of an image is its
part of the batch sum, divided by the number of positive positions in the batch, so a crowded
image has more weight than an empty one.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.vision.models.detectors.boxes import complete_iou, encode
from aitk.vision.models.detectors.faster_rcnn import BOX, OFFSETS, PROPOSALS
from aitk.vision.models.detectors.matching import (
    Matched,
    Objects,
    match_aligned,
    match_anchors,
    objects_of,
)
from aitk.vision.models.detectors.yolo import (
    BINS,
    PLACE,
    decode_boxes,
    distance_logits,
    score_logits,
)

#: Weights of the terms of the YOLO loss: box, distribution of distances, class (Jocher et al.
#: 2023).
BOX_WEIGHT, DISTANCE_WEIGHT, CLASS_WEIGHT = 7.5, 1.5, 0.5
#: Negatives per positive position (Liu et al. 2016, section 2.2), and the minimum per image, which
#: may hold no object.
NEGATIVES, MIN_NEGATIVES = 3, 8


class YoloLoss(keras.losses.Loss):
    """Complete IoU, distribution focal loss and binary cross-entropy, task-aligned.

    The class target of a position is its alignment with the object (Feng et al. 2021, section
    3.3), which also weights the box terms.
    """

    def __init__(self, name: str = "yolo_loss"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = ops.cast(y_pred, "float32")  # (batch, places, 3 + 4 * BINS + classes)
        points, spacing = rows[0, :, :2], rows[0, 0, 2]
        objects = objects_of(y_true)
        boxes, logits = decode_boxes(rows), score_logits(rows)
        matched = _constant(
            match_aligned(
                objects,
                ops.stop_gradient(boxes),
                ops.stop_gradient(ops.sigmoid(logits)),
                points,
                spacing=spacing,
            )
        )
        wanted = ops.one_hot(matched.classes, logits.shape[-1]) * matched.share[..., None]
        kinds = ops.sum(binary_cross_entropy(wanted, logits), axis=-1) * matched.counted
        places = 1 - complete_iou(boxes, matched.boxes)
        parts = (
            CLASS_WEIGHT * kinds
            + BOX_WEIGHT * places * matched.share
            + DISTANCE_WEIGHT * _distance_loss(rows, matched.boxes) * matched.share
        )
        return per_image(ops.sum(parts, axis=1), ops.sum(matched.share, axis=1))


class SsdLoss(keras.losses.Loss):
    """Cross-entropy over the hardest background and smooth L1 (Liu et al. 2016, section 2.2)."""

    def __init__(self, name: str = "ssd_loss"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = ops.cast(y_pred, "float32")  # (batch, anchors, 8 + 1 + classes)
        matched = match_anchors(
            objects_of(y_true), rows[0, :, :BOX], above=0.5, below=0.5, force=True
        )
        return class_and_box_loss(rows, _constant(matched))


class FasterRcnnLoss(keras.losses.Loss):
    """Class and box losses of both stages, added (Ren et al. 2015, eq. 1; Girshick 2015, sec. 2.3).

    Negatives are not drawn at random: the hardest are used (Shrivastava et al. 2016).
    """

    def __init__(self, name: str = "faster_rcnn_loss"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = ops.cast(y_pred, "float32")  # (batch, anchors + proposals, 8 + 1 + classes)
        first, second = rows[:, : -PROPOSALS.detections], rows[:, -PROPOSALS.detections :]
        objects = objects_of(y_true)
        return self._first_stage(objects, first) + self._second_stage(objects, second)

    def _first_stage(self, objects: Objects, rows: Any) -> Any:
        matched = _constant(
            match_anchors(objects, rows[0, :, :BOX], above=0.7, below=0.3, force=True)
        )
        logits = rows[..., OFFSETS]
        losses = binary_cross_entropy(matched.share, logits)
        chosen = matched.share + hardest(losses, matched)
        sums = ops.sum(losses * chosen + _box_loss(rows, matched), axis=1)
        return per_image(sums, ops.sum(matched.share, axis=1))

    def _second_stage(self, objects: Objects, rows: Any) -> Any:
        proposals = ops.stop_gradient(rows[..., :BOX])
        matched = match_anchors(objects, proposals, above=0.5, below=0.5, force=False)
        there = ops.cast(proposals[..., 2] > proposals[..., 0], "float32")
        matched = matched._replace(counted=matched.counted * there)
        return class_and_box_loss(rows, _constant(matched))


def class_and_box_loss(rows: Any, matched: Matched) -> Any:
    """Cross-entropy over background and classes, plus smooth L1 of the boxes: (batch,).

    Args:
        rows: (batch, positions, 8 + 1 + classes): anchor, offsets, logits.
    """
    logits = rows[..., OFFSETS:]
    kinds = ops.where(matched.share > 0, matched.classes + 1, 0)
    losses = ops.sparse_categorical_crossentropy(kinds, logits, from_logits=True)
    chosen = matched.share + hardest(losses, matched)
    sums = ops.sum(losses * chosen + _box_loss(rows, matched), axis=1)
    return per_image(sums, ops.sum(matched.share, axis=1))


def hardest(losses: Any, matched: Matched) -> Any:
    """Hard negatives: the highest losses, ``NEGATIVES`` per positive position.

    Args:
        losses: (batch, positions).

    Returns:
        (batch, positions) float32, 1 where selected.
    """
    free = matched.counted * (1 - matched.share)
    losses = ops.stop_gradient(losses) * free
    count = ops.maximum(NEGATIVES * ops.sum(matched.share, axis=1, keepdims=True), MIN_NEGATIVES)
    last = ops.cast(ops.minimum(count, losses.shape[1]), "int32") - 1
    least = ops.take_along_axis(ops.flip(ops.sort(losses, axis=1), axis=1), last, axis=1)
    return ops.cast(losses >= least, "float32") * free


def per_image(sums: Any, counts: Any) -> Any:
    """Losses (batch,) whose mean is the batch sum divided by the total count."""
    batch = ops.cast(ops.shape(sums)[0], "float32")
    return sums * batch / ops.maximum(ops.sum(counts), 1.0)


def binary_cross_entropy(wanted: Any, logits: Any) -> Any:
    """Binary cross-entropy per logit, in a form that does not overflow."""
    return ops.maximum(logits, 0.0) - logits * wanted + ops.log1p(ops.exp(-ops.abs(logits)))


def smooth_l1(difference: Any) -> Any:
    """Quadratic up to 1, linear beyond (Girshick 2015, equation 3)."""
    size = ops.abs(difference)
    return ops.where(size < 1, 0.5 * size**2, size - 0.5)


def _box_loss(rows: Any, matched: Matched) -> Any:
    """(batch, positions), 0 for positions without an object."""
    wanted = ops.stop_gradient(encode(matched.boxes, rows[..., :BOX]))
    # Rows without an object have padding boxes, whose logarithm is meaningless.
    wanted = ops.where(matched.share[..., None] > 0, wanted, 0.0)
    return ops.sum(smooth_l1(rows[..., BOX:OFFSETS] - wanted), axis=-1) * matched.share


def _distance_loss(rows: Any, boxes: Any) -> Any:
    """Distribution focal loss: cross-entropy with the two bins around each true distance.

    Li et al. 2020, equation 6. (batch, places, columns), (batch, places, 4) -> (batch, places).
    """
    points, steps = rows[..., :2], rows[..., 2:PLACE]
    true = ops.concatenate([points - boxes[..., :2], boxes[..., 2:] - points], axis=-1) / steps
    true = ops.expand_dims(ops.clip(true, 0.0, BINS - 1.0), -1)  # (batch, places, 4, 1)
    near = ops.maximum(1 - ops.abs(true - ops.arange(BINS, dtype="float32")), 0.0)
    log_shares = ops.log_softmax(distance_logits(rows), axis=-1)
    return -ops.mean(ops.sum(near * log_shares, axis=-1), axis=-1)


def _constant(matched: Matched) -> Matched:
    """Stop gradients through the targets."""
    return Matched(*(ops.stop_gradient(each) for each in matched))


#: By the name of the model.
LOSSES: dict[str, type[keras.losses.Loss]] = {
    "yolo": YoloLoss,
    "ssd": SsdLoss,
    "faster-rcnn": FasterRcnnLoss,
}
