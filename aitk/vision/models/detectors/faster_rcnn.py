"""Faster R-CNN, the two-stage detector (Ren et al. 2015), on a feature pyramid.

A region proposal network predicts objectness and a box at every anchor. The best of these boxes
are the proposals; their features are resampled to one size (RoIAlign, He et al. 2017), and a second
network predicts the class and refines the box. Both are trained jointly (section 3.2, "approximate
joint training") with ``losses.detection.FasterRcnnLoss``.

Differences from the paper: the number of proposals is fixed, so that all shapes are; anchor sizes
are learned from the training boxes; box refinement is the same for all classes; and the loss, not
the model, assigns proposals to objects, so that the model needs no targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from aitk.core.layers import Shape, Tensor
from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.detectors.anchors import anchor_boxes
from aitk.vision.models.detectors.boxes import areas, clip, decode
from aitk.vision.models.detectors.pyramid import feature_pyramid, level_maps, map_shapes
from aitk.vision.models.detectors.roi_align import RoiAlign
from aitk.vision.models.detectors.ssd import Sides
from aitk.vision.models.detectors.suppression import Suppression, suppress
from aitk.vision.models.input_scaling import image_input

#: Number of proposals for the second stage. Suppression is weaker than for detections: a box that
#: overlaps another may belong to another object (section 3.3).
PROPOSALS = Suppression(candidates=400, detections=100, overlap=0.7)
#: Columns of a raw row: its anchor or proposal, then the offsets, then logits.
BOX, OFFSETS = 4, 8


def faster_rcnn(
    backbone: keras.Model,
    *,
    size: tuple[int, int],
    classes: int,
    strides: Sequence[int],
    sides: Sides,
    width: int,
    hidden: int,
    suppression: Suppression,
) -> keras.Model:
    """Build the detector.

    Args:
        backbone: model from ``image`` to maps, its layers named ``stride_N``.
        size: height and width of the images.
        classes: number of classes.
        strides: strides of the maps used, from fine to coarse.
        sides: for each stride the (width, height) in pixels of the anchors of a cell.
        width: channels of the pyramid.
        hidden: size of the second stage's two dense layers.
        suppression: the limits of non-maximum suppression.

    Returns:
        Model from ``image`` (batch, height, width, 3) uint8 to detections (batch, detections, 6),
        or in training to the rows described in ``RcnnDetections``.
    """
    image = image_input(size)
    maps = level_maps(backbone, image, strides, filters=width)
    maps = feature_pyramid(maps, width, strides=strides)
    rows = []
    for x, stride, pairs in zip(maps, strides, sides, strict=True):
        x = convolution(x, width, name=f"rpn_{stride}_both")
        predicted = layers.Conv2D(len(pairs) * 5, 1, dtype="float32", name=f"rpn_{stride}")(x)
        rows.append(layers.Reshape((-1, 5), name=f"rpn_{stride}_rows", dtype="float32")(predicted))
    rpn = layers.Concatenate(axis=1, name="rpn", dtype="float32")(rows)
    rpn = WithAnchors(shapes=map_shapes(maps), strides=strides, sides=sides, name="anchors")(rpn)
    proposals = Proposals(size=size, name="proposals")(rpn)
    x = RoiAlign(strides, name="roi_align")(maps, proposals)
    x = layers.Reshape((x.shape[1], -1), name="head_flat")(x)
    x = layers.Dense(hidden, activation="relu", name="head_dense1")(x)
    x = layers.Dense(hidden, activation="relu", name="head_dense2")(x)
    correction = layers.Dense(4, dtype="float32", name="head_box")(x)
    kinds = layers.Dense(1 + classes, dtype="float32", name="head_class")(x)
    decoding = RcnnDetections(size=size, suppression=suppression, name="detections")
    return keras.Model(
        {"image": image}, decoding(rpn, proposals, correction, kinds), name="faster_rcnn"
    )


def rows_of_both(rpn: Any, proposals: Any, correction: Any, kinds: Any) -> Any:
    """The predictions of both stages in one table: see ``RcnnDetections``."""
    unused = kinds.shape[-1] - 1
    rpn = ops.pad(rpn, ((0, 0), (0, 0), (0, unused)))
    second = ops.concatenate([proposals, correction, kinds], axis=-1)
    return ops.concatenate([rpn, second], axis=1)


@keras.saving.register_keras_serializable("aitk.vision")
class WithAnchors(layers.Layer):
    """Prepend anchors: (batch, anchors, columns) -> (batch, anchors, 4 + columns)."""

    def __init__(
        self,
        *,
        shapes: Sequence[Sequence[int]],
        strides: Sequence[int],
        sides: Sides,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.shapes = [(shape[0], shape[1]) for shape in shapes]
        self.strides = list(strides)
        self.sides = [[list(pair) for pair in pairs] for pairs in sides]
        self.anchors = anchor_boxes(self.shapes, self.strides, self.sides)

    def call(self, rows: Tensor) -> Tensor:
        anchors = ops.convert_to_tensor(self.anchors[None]) * ops.ones_like(rows[..., :BOX])
        return ops.concatenate([anchors, rows], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], BOX + input_shape[2])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "shapes": self.shapes,
            "strides": self.strides,
            "sides": self.sides,
        }


@keras.saving.register_keras_serializable("aitk.vision")
class Proposals(layers.Layer):
    """The best boxes of the first stage, (batch, proposals, 4); padded with empty boxes.

    No gradient flows through their coordinates.
    """

    #: Suppression stays in float32 when the surrounding network is quantised.
    keeps_float32 = True

    def __init__(self, *, size: Sequence[int], **kwargs: Any):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.size = (size[0], size[1])

    def call(self, rows: Tensor) -> Tensor:
        # (batch, anchors, anchor + correction + objectness)
        rows = ops.stop_gradient(rows)
        boxes = clip(decode(rows[..., BOX:OFFSETS], rows[..., :BOX]), self.size)
        return suppress(boxes, ops.sigmoid(rows[..., OFFSETS:]), PROPOSALS)[..., :BOX]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], PROPOSALS.detections, BOX)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size}


@keras.saving.register_keras_serializable("aitk.vision")
class RcnnDetections(layers.Layer):
    """Predictions of both stages to non-overlapping boxes.

    In training, all rows are passed to the loss, (batch, anchors + proposals, 8 + 1 + classes):
    reference box, offsets and logits, which are a single objectness logit for anchors, and
    background and classes for proposals. Otherwise the output is detections (batch, detections,
    6): corners in pixels of the image, score, class.
    """

    #: Suppression stays in float32 when the preceding network is quantised.
    keeps_float32 = True

    def __init__(
        self, *, size: Sequence[int], suppression: Suppression | dict[str, Any], **kwargs: Any
    ):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.size = (size[0], size[1])
        self.suppression = Suppression.of(suppression)

    def call(
        self,
        rpn: Tensor,
        proposals: Tensor,
        correction: Tensor,
        kinds: Tensor,
        training: bool | None = None,
    ) -> Tensor:
        if training:
            return rows_of_both(rpn, proposals, correction, kinds)
        there = ops.cast(ops.expand_dims(areas(proposals), -1) > 0, "float32")
        boxes = clip(decode(correction, proposals), self.size)
        scores = ops.softmax(kinds, axis=-1)[..., 1:] * there
        return suppress(boxes, scores, self.suppression)

    def compute_output_shape(self, rpn_shape: Shape, *_: Any) -> Shape:
        return (rpn_shape[0], self.suppression.detections, 6)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "suppression": self.suppression.to_config(),
        }
