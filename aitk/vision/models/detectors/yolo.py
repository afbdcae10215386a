"""An anchor-free one-stage detector of the YOLO family.

In YOLO (Redmon et al. 2016), every cell of a feature map predicts a box and a class. This version
adds later work: a pyramid with top-down and bottom-up pathways (Lin et al. 2017a, Liu et al. 2018),
decoupled branches for box and class without anchors (Ge et al. 2021, YOLOX, section 2.1), and
distributions over the four distances to the sides of the box (Li et al. 2020, "Generalized Focal
Loss", section 3.2). The loss is ``losses.detection.YoloLoss``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from aitk.core.layers import Shape, Tensor
from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.detectors.anchors import centre_points
from aitk.vision.models.detectors.boxes import clip
from aitk.vision.models.detectors.pyramid import (
    feature_pyramid,
    level_maps,
    map_shapes,
    path_aggregation,
)
from aitk.vision.models.detectors.suppression import Suppression, suppress
from aitk.vision.models.input_scaling import image_input

#: Distances are predicted in strides, as a distribution over 0, 1, ... BINS - 1.
BINS = 16
#: Initial score of every position (Lin et al. 2017b, section 4.1).
PRIOR = 0.01
#: Initial decay of the distance distribution per bin: a mean of 3.5 strides.
DECAY = 0.25
#: Columns of a raw output before those of the box: the position's x, y and stride.
PLACE = 3


def yolo(
    backbone: keras.Model,
    *,
    size: tuple[int, int],
    classes: int,
    strides: Sequence[int],
    width: int,
    suppression: Suppression,
) -> keras.Model:
    """Build the detector.

    Args:
        backbone: model from ``image`` to maps, its layers named ``stride_N``.
        size: height and width of the images.
        classes: number of classes.
        strides: strides of the maps used, from fine to coarse.
        width: channels of the pyramid and of the branches.
        suppression: the limits of non-maximum suppression.

    Returns:
        Model from ``image`` (batch, height, width, 3) uint8 to detections (batch, detections, 6),
        or in training to the rows described in ``YoloDetections``.
    """
    image = image_input(size)
    maps = level_maps(backbone, image, strides, filters=width)
    maps = feature_pyramid(maps, width, strides=strides)
    maps = path_aggregation(maps, width, strides=strides)
    rows = [
        branches(x, classes=classes, width=width, name=f"head_{stride}")
        for x, stride in zip(maps, strides, strict=True)
    ]
    raw = layers.Concatenate(axis=1, name="raw", dtype="float32")(rows)
    decode = YoloDetections(
        size=size,
        shapes=map_shapes(maps),
        strides=strides,
        suppression=suppression,
        name="detections",
    )
    return keras.Model({"image": image}, decode(raw), name="yolo")


def branches(x: Any, *, classes: int, width: int, name: str) -> Any:
    """Box and class branches: (batch, rows, columns, c) -> (batch, places, columns).

    The columns are the logits of four distances (left, top, right, bottom), ``BINS`` each, then
    the class logits.
    """
    box = convolution(x, width, name=f"{name}_box1")
    box = convolution(box, width, name=f"{name}_box2")
    box = layers.Conv2D(
        4 * BINS, 1, dtype="float32", bias_initializer=FallingBias(), name=f"{name}_box"
    )(box)
    kind = convolution(x, width, name=f"{name}_class1")
    kind = convolution(kind, width, name=f"{name}_class2")
    prior = keras.initializers.Constant(-math.log((1 - PRIOR) / PRIOR))
    kind = layers.Conv2D(classes, 1, dtype="float32", bias_initializer=prior, name=f"{name}_class")(
        kind
    )
    both = layers.Concatenate(name=f"{name}_both", dtype="float32")([box, kind])
    return layers.Reshape((-1, both.shape[-1]), name=f"{name}_rows", dtype="float32")(both)


@keras.saving.register_keras_serializable("aitk.vision")
class FallingBias(keras.initializers.Initializer):
    """Initial bias that favours short distances over long ones."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return ops.convert_to_tensor(np.tile(-DECAY * np.arange(BINS), shape[0] // BINS), dtype)


@keras.saving.register_keras_serializable("aitk.vision")
class YoloDetections(layers.Layer):
    """Raw rows to non-overlapping boxes.

    In training, rows are passed to the loss after columns with their position: (batch, places,
    3 + 4 * BINS + classes). Otherwise the output is detections (batch, detections, 6): corners
    in pixels of the image, score, class.
    """

    #: Suppression stays in float32 when the preceding network is quantised.
    keeps_float32 = True

    def __init__(
        self,
        *,
        size: Sequence[int],
        shapes: Sequence[Sequence[int]],
        strides: Sequence[int],
        suppression: Suppression | dict[str, Any],
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.size = (size[0], size[1])
        self.shapes = [(shape[0], shape[1]) for shape in shapes]
        self.strides = list(strides)
        self.suppression = Suppression.of(suppression)
        self.points, self.steps = centre_points(self.shapes, self.strides)

    def call(self, raw: Tensor, training: bool | None = None) -> Tensor:
        places = np.concatenate([self.points, self.steps], axis=1)[None]
        places = ops.convert_to_tensor(places) * ops.ones_like(raw[..., :PLACE])
        rows = ops.concatenate([places, raw], axis=-1)
        if training:
            return rows
        boxes = clip(decode_boxes(rows), self.size)
        return suppress(boxes, ops.sigmoid(score_logits(rows)), self.suppression)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.suppression.detections, 6)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "shapes": self.shapes,
            "strides": self.strides,
            "suppression": self.suppression.to_config(),
        }


def distance_logits(rows: Any) -> Any:
    """The logits of each distance: (batch, places, columns) -> (batch, places, 4, BINS)."""
    return ops.reshape(rows[..., PLACE : PLACE + 4 * BINS], (-1, rows.shape[1], 4, BINS))


def score_logits(rows: Any) -> Any:
    """The logits of the classes: (batch, places, classes)."""
    return rows[..., PLACE + 4 * BINS :]


def decode_boxes(rows: Any) -> Any:
    """Boxes in pixels: each position extended by the means of its four distances."""
    shares = ops.softmax(distance_logits(rows), axis=-1)
    # Not a matrix product: an int8 export would round its constant operand.
    means = ops.sum(shares * ops.arange(BINS, dtype="float32"), axis=-1)
    distances = means * rows[..., 2:3]  # (batch, places, 4)
    points = rows[..., :2]
    return ops.concatenate([points - distances[..., :2], points + distances[..., 2:]], axis=-1)
