"""PSPNet: features combined with pooled regional context (Zhao et al. 2017)."""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.backbones.feature_maps import strides_of
from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.segmenters.dense import feature_maps, joined, pixel_logits, resized

#: Regions along each side of the image, one pooling per value (section 3.2).
BINS = (1, 2, 3, 6)


def pspnet(
    backbone: keras.Model, *, classes: int, width: int, output_stride: int, dropout: float
) -> keras.Model:
    """Put a pyramid pooling module on a backbone.

    Args:
        backbone: model from ``image`` to a map, its stages named by their strides.
        classes: number of logits per pixel.
        width: channels of the pooled map and of the last one.
        output_stride: stride of the pooled map, if the backbone has one, else the nearest coarser
            stride. Coarser maps are added to it.
        dropout: dropout rate of the last map.

    Returns:
        Model from ``image`` to float32 logits (batch, height, width, classes).
    """
    size = backbone.input_shape[1:3]
    image = image_input(size)
    strides = strides_of(backbone)
    deep = [stride for stride in strides if stride >= output_stride] or strides[-1:]
    x = joined(feature_maps(backbone, image, deep), width)
    parts = [x]
    for bins in BINS:
        pooled = pooled_to(x, bins)
        pooled = convolution(pooled, width // len(BINS), width=1, name=f"pyramid{bins}")
        parts.append(resized(pooled, x.shape[1:3]))
    x = keras.layers.Concatenate(name="pyramid")(parts)
    x = convolution(x, width, name="pyramid_join")
    logits = pixel_logits(x, size, classes=classes, dropout=dropout)
    return keras.Model({"image": image}, logits, name="pspnet")


def pooled_to(x: keras.KerasTensor, bins: int) -> keras.KerasTensor:
    """The means of ``bins`` regions along each side of a map, or of fewer for a smaller map.

    Regions have equal size and cover the map; they overlap if its side is not a multiple.
    """
    windows, steps = [], []
    for length in x.shape[1:3]:
        regions = min(bins, length)
        steps.append(length // regions)
        windows.append(length - (regions - 1) * steps[-1])
    pool = keras.layers.AveragePooling2D(tuple(windows), tuple(steps), name=f"pool{bins}")
    return pool(x)
