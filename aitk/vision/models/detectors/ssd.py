"""SSD, the single shot detector (Liu et al. 2016).

Every position of several feature maps has anchors of several sizes; each predicts its class or
background, and its box offsets. Here the maps are those of a feature pyramid, and the sizes are
learned from the training boxes (``anchors``), whereas the paper spaces them evenly. The loss is
``losses.detection.SsdLoss``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from aitk.core.layers import Shape, Tensor
from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.detectors.anchors import anchor_boxes
from aitk.vision.models.detectors.boxes import clip, decode
from aitk.vision.models.detectors.pyramid import feature_pyramid, level_maps, map_shapes
from aitk.vision.models.detectors.suppression import Suppression, suppress
from aitk.vision.models.input_scaling import image_input

#: One level of anchors: pairs of width and height in pixels.
Sides = Sequence[Sequence[Sequence[float]]]


def ssd(
    backbone: keras.Model,
    *,
    size: tuple[int, int],
    classes: int,
    strides: Sequence[int],
    sides: Sides,
    width: int,
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
        suppression: the limits of non-maximum suppression.

    Returns:
        Model from ``image`` (batch, height, width, 3) uint8 to detections (batch, detections, 6),
        or in training to the rows described in ``SsdDetections``.
    """
    image = image_input(size)
    maps = level_maps(backbone, image, strides, filters=width)
    maps = feature_pyramid(maps, width, strides=strides)
    rows = []
    for x, stride, pairs in zip(maps, strides, sides, strict=True):
        x = convolution(x, width, name=f"head_{stride}_both")
        predicted = [
            _anchor_rows(x, len(pairs), columns, name=f"head_{stride}_{what}")
            for what, columns in (("box", 4), ("class", 1 + classes))
        ]
        rows.append(layers.Concatenate(name=f"head_{stride}", dtype="float32")(predicted))
    raw = layers.Concatenate(axis=1, name="raw", dtype="float32")(rows)
    decoding = SsdDetections(
        size=size,
        shapes=map_shapes(maps),
        strides=strides,
        sides=sides,
        suppression=suppression,
        name="detections",
    )
    return keras.Model({"image": image}, decoding(raw), name="ssd")


def _anchor_rows(x: Any, anchors: int, columns: int, *, name: str) -> Any:
    """The predictions of each anchor of a map: (batch, places * anchors, columns)."""
    x = layers.Conv2D(anchors * columns, 3, padding="same", dtype="float32", name=name)(x)
    return layers.Reshape((-1, columns), name=f"{name}_rows", dtype="float32")(x)


@keras.saving.register_keras_serializable("aitk.vision")
class SsdDetections(layers.Layer):
    """Raw rows (batch, anchors, 4 + 1 + classes) to non-overlapping boxes.

    A row has box offsets (see ``boxes.encode``) and the logits of background and the classes. In
    training, rows are passed to the loss after their anchors: (batch, anchors, 4 + 4 + 1 +
    classes). Otherwise the output is detections (batch, detections, 6): corners in pixels of the
    image, score, class.
    """

    #: Suppression stays in float32 when the preceding network is quantised.
    keeps_float32 = True

    def __init__(
        self,
        *,
        size: Sequence[int],
        shapes: Sequence[Sequence[int]],
        strides: Sequence[int],
        sides: Sides,
        suppression: Suppression | dict[str, Any],
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.size = (size[0], size[1])
        self.shapes = [(shape[0], shape[1]) for shape in shapes]
        self.strides = list(strides)
        self.sides = [[list(pair) for pair in pairs] for pairs in sides]
        self.suppression = Suppression.of(suppression)
        self.anchors = anchor_boxes(self.shapes, self.strides, self.sides)

    def call(self, raw: Tensor, training: bool | None = None) -> Tensor:
        anchors = ops.convert_to_tensor(self.anchors[None])  # (1, anchors, 4)
        if training:
            return ops.concatenate([anchors * ops.ones_like(raw[..., :4]), raw], axis=-1)
        boxes = clip(decode(raw[..., :4], anchors), self.size)
        scores = ops.softmax(raw[..., 4:], axis=-1)[..., 1:]
        return suppress(boxes, scores, self.suppression)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.suppression.detections, 6)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "shapes": self.shapes,
            "strides": self.strides,
            "sides": self.sides,
            "suppression": self.suppression.to_config(),
        }
