"""Distillation losses for image classes and pixel classes.

Targets have the true values, then the teacher's logits, in the last axis. The losses of detectors
are in ``detection_distillation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from aitk.core.compression.distill import TEACHER_SHARE, TEMPERATURE, softened_divergence
from aitk.core.contract.errors import UsageError
from aitk.vision.features.assets import ImageAssets
from aitk.vision.losses.segmentation import SegmentationLoss
from aitk.vision.models.input_scaling import image_input


class LabelDistillationLoss(keras.losses.Loss):
    """Cross-entropy with class shares, and divergence from the softened teacher.

    Hinton, Vinyals and Dean 2015, section 2. Unlabelled images use the teacher alone.

    """

    #: Configuration recorded in the run.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def __init__(self, name: str = "label_distillation"):
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, 2 * classes): shares, then logits; (batch, classes) -> (batch,)
        y_pred = ops.cast(y_pred, "float32")
        shares, teacher = ops.split(ops.cast(y_true, "float32"), 2, axis=-1)
        hard = -ops.sum(shares * ops.log_softmax(y_pred, axis=-1), axis=-1)
        return _weighted_sum(hard, softened_divergence(teacher, y_pred))


class MaskDistillationLoss(SegmentationLoss):
    """The model's own loss, plus the mean divergence from the teacher over all pixels.

    Liu et al. 2019, "Structured Knowledge Distillation for Semantic Segmentation", section 3.1,
    pixel-wise; the teacher has ten times the weight of the true classes, as in the paper. Void
    pixels use the teacher alone.
    """

    #: Configuration recorded in the run.
    facts = {"temperature": TEMPERATURE, "teacher_share": TEACHER_SHARE}

    def __init__(self, terms: str = "ce", class_weights: Sequence[float] = ()):
        super().__init__(terms, class_weights, name="mask_distillation")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # (batch, height, width, 1 + classes), (batch, height, width, classes) -> (batch,)
        teacher = ops.cast(y_true[..., 1:], "float32")
        soft = softened_divergence(teacher, ops.cast(y_pred, "float32"))
        return _weighted_sum(super().call(y_true[..., 0], y_pred), ops.mean(soft, axis=(1, 2)))


def check_same_classes(assets: ImageAssets, teacher: ImageAssets, *, kinds: Iterable[str]) -> None:
    """Raise ``UsageError`` if two models of a task differ in classes or views.

    Args:
        kinds: annotation kinds that are distilled.
    """
    for kind in sorted(kinds):
        if assets.labels_of(kind) != teacher.labels_of(kind):
            raise UsageError(
                "the classes of the run differ from those of the data that it was trained on",
                where="--distill",
                hint="It was updated since: compress the run before the update",
            )
    if assets.parameters.get("view") != teacher.parameters.get("view"):
        raise UsageError(
            "one of the models reads whole images, the other tiles",
            where="--distill",
            hint=f"Add --set view={teacher.parameters['view']}",
        )


def check_same_size(assets: ImageAssets, teacher: ImageAssets) -> None:
    """Raise ``UsageError`` if spatial outputs of two models differ in size."""
    if assets.size != teacher.size:
        height, width = teacher.size
        raise UsageError(
            f"the run reads images of {height}x{width} pixels,"
            f" the student {assets.size[0]}x{assets.size[1]}",
            where="--distill",
            hint=f"Add --set image_size={height}x{width}",
        )


def resize_to_teacher(teacher: keras.Model, size: tuple[int, int]) -> keras.Model:
    """Wrap a teacher of whole images so that it resizes images of another size to its own."""
    own = teacher.inputs[0].shape[1:3]
    if own == size:
        return teacher
    image = image_input(size)
    resized = ops.image.resize(ops.cast(image, "float32"), own, antialias=True)
    return keras.Model(image, teacher(ops.cast(ops.round(resized), "uint8")))


def _weighted_sum(hard: Any, soft: Any) -> Any:
    return TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * hard
