"""Distillation losses of detectors whose teacher predicts boxes at the same positions.

Targets are the padded objects of ``matching``, followed by the teacher's raw rows: each position
of the student is paired with the teacher's row at the same position. Where the teacher sees no
object, its box is meaningless, so boxes are weighted by its confidence.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.compression.distill import TEMPERATURE, softened_divergence
from aitk.core.contract.errors import UsageError
from aitk.vision.losses.detection import (
    CLASS_WEIGHT,
    DISTANCE_WEIGHT,
    FasterRcnnLoss,
    SsdLoss,
    YoloLoss,
    binary_cross_entropy,
    per_image,
    smooth_l1,
)
from aitk.vision.models.detectors.boxes import decode, encode, pairwise_iou
from aitk.vision.models.detectors.faster_rcnn import BOX, OFFSETS, PROPOSALS, rows_of_both
from aitk.vision.models.detectors.suppression import take_rows
from aitk.vision.models.detectors.yolo import BINS, PLACE, distance_logits, score_logits

#: Weight of the teacher in the loss. The true boxes have full weight, as in Zheng et al. 2022: a
#: teacher has false positives, which a student that only imitates it would repeat.
TEACHER_SHARE = 0.5
#: Temperature of the distance distributions (Zheng et al. 2022, section 4.1 and their configs).
DISTANCE_TEMPERATURE = 10.0
#: Minimum confidence for a teacher's box to be a target.
SURE = 0.1
#: Minimum intersection over union for two proposals to match.
SAME_PROPOSAL = 0.7
OBJECT_COLUMNS = 6


class YoloDistillationLoss(YoloLoss):
    """``YoloLoss`` with the teacher's scores and distance distributions as soft targets.

    "Localization Distillation for Dense Object Detection" (Zheng et al. 2022, equation 2):
    distributions over distances (Li et al. 2020) can be distilled like those over classes. As in
    their code, the divergence is averaged over the bins and has the weight of the distribution
    focal loss.
    """

    #: Configuration recorded in the run.
    facts = {"temperature": DISTANCE_TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def __init__(self, name: str = "yolo_distillation"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = ops.cast(y_pred, "float32")
        objects, teacher = _split_targets(
            y_true, places=rows.shape[1], columns=rows.shape[2] - PLACE
        )
        teacher = ops.concatenate([rows[..., :PLACE], teacher], axis=-1)
        return _weighted_sum(super().call(objects, y_pred), _yolo_divergence(rows, teacher))


class SsdDistillationLoss(SsdLoss):
    """``SsdLoss`` with the teacher's classes and offsets of the same anchors."""

    #: Configuration recorded in the run.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def __init__(self, name: str = "ssd_distillation"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = ops.cast(y_pred, "float32")
        objects, teacher = _split_targets(y_true, places=rows.shape[1], columns=rows.shape[2] - BOX)
        soft = _anchor_divergence(rows[..., BOX:], teacher)
        return _weighted_sum(super().call(objects, y_pred), soft)


class FasterRcnnDistillationLoss(FasterRcnnLoss):
    """``FasterRcnnLoss`` with the predictions of both stages of the teacher.

    The first stages share their anchors. In the second stages, each proposal of the student is
    matched with the teacher's proposal of the largest overlap, if that is large enough.
    """

    #: Configuration recorded in the run.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def __init__(self, name: str = "faster_rcnn_distillation"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        rows = ops.cast(y_pred, "float32")
        objects, teacher = _split_targets(y_true, places=rows.shape[1], columns=rows.shape[2])
        count = PROPOSALS.detections
        soft = _anchor_divergence(*(_first_stage(each[:, :-count]) for each in (rows, teacher)))
        soft = soft + _proposal_divergence(rows[:, -count:], teacher[:, -count:])
        return _weighted_sum(super().call(objects, y_pred), soft)


def raw_outputs(model: keras.Model, *, layer: str = "detections") -> keras.KerasTensor:
    """The outputs of a detector before non-maximum suppression: (batch, positions, columns)."""
    teacher = model.get_layer(layer).input
    return rows_of_both(*teacher) if isinstance(teacher, list | tuple) else teacher


def check_same_positions(rows: keras.KerasTensor, others: keras.KerasTensor) -> None:
    """Raise ``UsageError`` if a student predicts boxes at other positions than its teacher."""
    if rows.shape[1:] != others.shape[1:]:
        raise UsageError(
            f"the run predicts boxes at {rows.shape[1]} positions of an image,"
            f" the student at {others.shape[1]}",
            where="--distill",
            hint="Add --set strides=... with the values of the run",
        )


def append_teacher_rows(objects: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Append a teacher's rows (batch, positions, columns) to padded objects (batch, most, 6)."""
    spare = teacher.shape[-1] - objects.shape[-1]
    return np.concatenate([np.pad(objects, ((0, 0), (0, 0), (0, spare))), teacher], axis=1)


def _split_targets(y_true: Any, *, places: int, columns: int) -> tuple[Any, Any]:
    """The inverse of ``append_teacher_rows``."""
    y_true = ops.cast(y_true, "float32")
    teacher = ops.reshape(y_true[:, -places:], (-1, places, columns))
    return y_true[:, :-places, :OBJECT_COLUMNS], teacher


def _weighted_sum(hard: Any, soft: Any) -> Any:
    return TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * hard


def _yolo_divergence(rows: Any, teacher: Any) -> Any:
    """(batch, places, 3 + 4 * BINS + classes) twice -> (batch,)."""
    logits, wanted = score_logits(rows), score_logits(teacher)
    scores = ops.sigmoid(wanted)
    # Subtract its minimum, the teacher's own entropy.
    kinds = binary_cross_entropy(scores, logits) - binary_cross_entropy(scores, wanted)
    sure = _sure(ops.max(scores, axis=-1))
    distances = softened_divergence(
        distance_logits(teacher), distance_logits(rows), temperature=DISTANCE_TEMPERATURE
    )
    distances = ops.mean(distances, axis=-1) / BINS * sure
    parts = CLASS_WEIGHT * ops.sum(kinds, axis=-1) + DISTANCE_WEIGHT * distances
    return per_image(ops.sum(parts, axis=1), ops.sum(sure, axis=1))


def _anchor_divergence(rows: Any, teacher: Any) -> Any:
    """(batch, anchors, 4 + 1 + classes) twice: offsets, logits, background first -> (batch,).

    Classes are distilled where either model sees an object. The many positions that both regard as
    background would outweigh the rest.
    """
    seen, wanted = _seen(rows[..., BOX:]), _seen(teacher[..., BOX:])
    kinds = softened_divergence(teacher[..., BOX:], rows[..., BOX:])
    kinds = kinds * ops.maximum(wanted, ops.stop_gradient(seen))
    sure = _sure(wanted)
    boxes = ops.sum(smooth_l1(rows[..., :BOX] - teacher[..., :BOX]), axis=-1) * sure
    return per_image(ops.sum(kinds + boxes, axis=1), ops.sum(sure, axis=1))


def _proposal_divergence(rows: Any, teacher: Any) -> Any:
    """(batch, proposals, 4 + 4 + 1 + classes) twice -> (batch,)."""
    proposals, others = ops.stop_gradient(rows[..., :BOX]), teacher[..., :BOX]
    iou = pairwise_iou(proposals, others)
    same = ops.cast(ops.max(iou, axis=-1) >= SAME_PROPOSAL, "float32")
    teacher = take_rows(teacher, ops.argmax(iou, axis=-1))
    # The same box, encoded relative to the student's proposal.
    boxes = encode(decode(teacher[..., BOX:OFFSETS], teacher[..., :BOX]), proposals)
    wanted = _seen(teacher[..., OFFSETS:]) * same
    seen = ops.stop_gradient(_seen(rows[..., OFFSETS:])) * same
    kinds = softened_divergence(teacher[..., OFFSETS:], rows[..., OFFSETS:]) * ops.maximum(
        wanted, seen
    )
    sure = _sure(wanted)
    # Empty proposals have arbitrary, possibly large offsets.
    difference = ops.where(sure[..., None] > 0, rows[..., BOX:OFFSETS] - boxes, 0.0)
    places = ops.sum(smooth_l1(difference), axis=-1) * sure
    return per_image(ops.sum(kinds + places, axis=1), ops.sum(sure, axis=1))


def _first_stage(rows: Any) -> Any:
    """Rows without their anchors, with a background logit of 0 before the objectness logit."""
    objectness = rows[..., OFFSETS : OFFSETS + 1]
    return ops.concatenate(
        [rows[..., BOX:OFFSETS], ops.zeros_like(objectness), objectness], axis=-1
    )


def _seen(logits: Any) -> Any:
    """The probability of any class except background, which comes first."""
    return 1 - ops.softmax(logits, axis=-1)[..., 0]


def _sure(scores: Any) -> Any:
    """The scores of a teacher above the threshold, 0 elsewhere."""
    return scores * ops.cast(scores >= SURE, "float32")
