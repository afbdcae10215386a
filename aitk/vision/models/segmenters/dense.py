"""Common parts of segmentation heads: merging of maps, and logits per pixel."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.backbones.feature_maps import levels

#: Layer with the backbone's last map as the head sees it, for explanations.
DEEPEST = "deepest"


def feature_maps(
    backbone: keras.Model, image: keras.KerasTensor, strides: Sequence[int]
) -> list[keras.KerasTensor]:
    """The backbone's maps at these strides, the coarsest named ``deepest``."""
    *maps, last = levels(backbone, strides)(image)
    return [*maps, keras.layers.Identity(name=DEEPEST)(last)]


def resized(x: keras.KerasTensor, size: Sequence[int]) -> keras.KerasTensor:
    """A map (batch, h, w, channels) interpolated to a size (height, width)."""
    if tuple(x.shape[1:3]) == tuple(size):
        return x
    return ops.image.resize(x, tuple(size), interpolation="bilinear")


def joined(maps: Sequence[keras.KerasTensor], width: int) -> keras.KerasTensor:
    """Merge maps of increasing stride at the size of the first: (batch, h, w, width).

    The papers instead dilate the last stages of the backbone, which costs 4 to 16 times as much
    there and makes the network unusable for other heads (Wu et al. 2019, FastFCN, section 3.3).
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
    """A linear head, named ``head``, on each position of a map, and its logits for every pixel.

    Returns:
        (batch, height, width, classes) float32.
    """
    x = keras.layers.SpatialDropout2D(dropout, name="head_dropout")(x)
    x = keras.layers.Conv2D(classes, 1, name="head", dtype="float32")(x)
    return resized(x, size)
