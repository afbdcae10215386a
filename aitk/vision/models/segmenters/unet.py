"""U-Net: up to full resolution again, past what each stage saw (Ronneberger et al. 2015)."""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.backbones.feature_maps import strides_of
from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.segmenters.dense import feature_maps, pixel_logits, resized

#: The widest stage has at most this many times the channels of the finest one.
WIDEST = 8


def unet(backbone: keras.Model, *, classes: int, width: int, dropout: float) -> keras.Model:
    """Put a decoder with a skip connection at every stride on a backbone.

    Each stage interpolates the map, puts that of the backbone beside it and convolves twice
    (section 2). The finest one is the backbone's own; its logits are interpolated to the image.

    Args:
        backbone: ``image`` to a map, its stages named by their strides.
        classes: how many logits a pixel gets.
        width: channels of the decoder's finest stage, doubled with each coarser one.
        dropout: share of the last map's channels dropped in training.

    Returns:
        ``image`` to float32 logits (batch, height, width, classes).
    """
    size = backbone.input_shape[1:3]
    image = image_input(size)
    *skips, x = feature_maps(backbone, image, strides_of(backbone))
    for stage in reversed(range(len(skips))):
        channels = width * min(2**stage, WIDEST)
        x = resized(x, skips[stage].shape[1:3])
        x = keras.layers.Concatenate(name=f"up{stage + 1}_skip")([x, skips[stage]])
        x = convolution(x, channels, name=f"up{stage + 1}_conv1")
        x = convolution(x, channels, name=f"up{stage + 1}_conv2")
    logits = pixel_logits(x, size, classes=classes, dropout=dropout)
    return keras.Model({"image": image}, logits, name="unet")
