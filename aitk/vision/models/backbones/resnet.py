"""Residual networks (He et al. 2016, "Deep Residual Learning for Image Recognition").

Keras Hub's ResNet starts with a strided convolution and pooling (stride 4) and has at least 64
channels, which suits images of 224 pixels. This is the network of section 4.2 for small images: a
3 x 3 convolution, then stages of two-layer blocks. Shortcuts between stages are 1 x 1
convolutions (option B of section 4.1) of averaged pixels.
"""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.blocks import convolution, stem
from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.settings import ResNetSettings, parse_blocks, stem_stride


def build_backbone(settings: ResNetSettings, size: tuple[int, int]) -> keras.Model:
    """Images of ``size`` -> the last feature map (batch, height, width, channels)."""
    stride, filters = stem_stride(settings, size), settings.filters
    image = image_input(size)
    x = stem(image, filters, stride)
    for stage, blocks in enumerate(parse_blocks(settings.blocks)):
        if stage:
            stride, filters = stride * 2, filters * 2
        for block in range(blocks):
            x = _block(
                x,
                filters,
                halve=stage > 0 and block == 0,
                name=f"stage{stage + 1}_block{block + 1}",
                last=f"stride_{stride}" if block == blocks - 1 else None,
            )
    return keras.Model(image, x, name="backbone")


def _block(
    x: keras.KerasTensor, filters: int, *, halve: bool, name: str, last: str | None
) -> keras.KerasTensor:
    """Two convolutions with a shortcut (section 3.2)."""
    shortcut, stride = x, 2 if halve else 1
    if halve:
        # Average four pixels instead of taking one (He et al. 2019, ResNet-D). Also, oneDNN
        # corrupts memory in the gradient of a strided 1 x 1 convolution with few channels.
        shortcut = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(x)
    if halve or x.shape[-1] != filters:
        shortcut = convolution(shortcut, filters, width=1, activation=None, name=f"{name}_shortcut")
    x = convolution(x, filters, stride=stride, name=f"{name}_conv1")
    x = convolution(x, filters, activation=None, name=f"{name}_conv2")
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.Activation("relu", name=last or f"{name}_relu")(x)
