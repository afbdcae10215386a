"""A small convolutional network: stages of convolutions, each followed by pooling."""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.blocks import convolution, stem
from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.settings import CnnSettings, parse_blocks, stem_stride


def build_backbone(settings: CnnSettings, size: tuple[int, int]) -> keras.Model:
    """Images of ``size`` -> the last feature map (batch, height, width, channels)."""
    stride, filters = stem_stride(settings, size), settings.filters
    image = image_input(size)
    x = stem(image, filters, stride)
    for stage, blocks in enumerate(parse_blocks(settings.blocks)):
        if stage:
            x = keras.layers.MaxPooling2D(padding="same", name=f"stage{stage + 1}_pool")(x)
            stride, filters = stride * 2, filters * 2
        for block in range(blocks):
            last = f"stride_{stride}" if block == blocks - 1 else None
            x = convolution(x, filters, name=f"stage{stage + 1}_conv{block + 1}", last=last)
    return keras.Model(image, x, name="backbone")
