"""What the segmentation heads share: maps brought to one size, and the logits of every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.backbones.feature_maps import levels

#: The layer that hands a head the backbone's last map, for explanations.
DEEPEST = "deepest"


def feature_maps(
    backbone: keras.Model, image: keras.KerasTensor, strides: Sequence[int]
) -> list[keras.KerasTensor]:
    """The backbone's maps of these strides, the coarsest named ``deepest``."""
    *maps, last = levels(backbone, strides)(image)
    return [*maps, keras.layers.Identity(name=DEEPEST)(last)]


def resized(x: keras.KerasTensor, size: Sequence[int]) -> keras.KerasTensor:
    """A map (batch, h, w, channels) interpolated to a size (height, width)."""
    if tuple(x.shape[1:3]) == tuple(size):
        return x
    return ops.image.resize(x, tuple(size), interpolation="bilinear")


def joined(maps: Sequence[keras.KerasTensor], width: int) -> keras.KerasTensor:
    """Maps of growing stride as one of the first one's size: (batch, h, w, width).

    The papers dilate the last stages of the backbone instead, which costs 4 to 16 times as much
    there and leaves a network that no other head can use (Wu et al. 2019, FastFCN, section 3.3).
    """
    size = maps[0].shape[1:3]
    if len(maps) > 1:
        maps = [
            resized(convolution(x, width, width=1, name=f"join_{number}"), size)
            for number, x in enumerate(maps)
        ]
        maps = [keras.layers.Concatenate(name="joined")(maps)]
    return convolution(maps[0], width, width=1, name="join")


def pixel_logits(
    x: keras.KerasTensor, size: Sequence[int], *, classes: int, dropout: float
) -> keras.KerasTensor:
    """A linear head, named ``head``, on every place of a map, and its logits for every pixel.

    Returns:
        (batch, height, width, classes) float32.
    """
    x = keras.layers.SpatialDropout2D(dropout, name="head_dropout")(x)
    x = keras.layers.Conv2D(classes, 1, name="head", dtype="float32")(x)
    return resized(x, size)
