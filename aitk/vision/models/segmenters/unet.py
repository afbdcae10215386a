"""U-Net: upsampling to full resolution with skip connections (Ronneberger et al. 2015)."""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.blocks import convolution
from aitk.vision.models.backbones.feature_maps import strides_of
from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.segmenters.dense import feature_maps, pixel_logits, resized

#: The widest stage has at most this multiple of the finest stage's channels.
WIDEST = 8


def unet(backbone: keras.Model, *, classes: int, width: int, dropout: float) -> keras.Model:
    """Put a decoder with a skip connection at every stride on a backbone.

    Each stage interpolates the map, concatenates that of the backbone and convolves twice (section
    2). The finest stage has the backbone's resolution; its logits are interpolated to the image.

    Args:
        backbone: model from ``image`` to a map, its stages named by their strides.
        classes: number of logits per pixel.
        width: channels of the finest decoder stage, doubled at each coarser one.
        dropout: dropout rate of the last map.

    Returns:
        Model from ``image`` to float32 logits (batch, height, width, classes).
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
