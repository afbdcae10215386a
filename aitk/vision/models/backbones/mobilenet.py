"""MobileNetV2: inverted residuals with depthwise convolutions (Sandler et al. 2018, section 3).

Keras Hub implements a depthwise convolution as a grouped one, which TensorFlow on CPU compiles
with XLA at every step: forty times slower in training, and unsupported by LiteRT.
"""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.blocks import MOMENTUM, FusedBatchNormalization, convolution, stem
from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.settings import MobileNetSettings, parse_blocks, stem_stride


def build_backbone(settings: MobileNetSettings, size: tuple[int, int]) -> keras.Model:
    """Images of ``size`` -> the last feature map (batch, height, width, channels)."""
    stride, filters = stem_stride(settings, size), settings.filters
    image = image_input(size)
    x = stem(image, filters, stride)
    for stage, blocks in enumerate(parse_blocks(settings.blocks)):
        if stage:
            stride, filters = stride * 2, filters * 2
        for block in range(blocks):
            x = _inverted_residual(
                x,
                filters,
                expansion=settings.expansion if stage else 1,
                stride=2 if stage and block == 0 else 1,
                name=f"stage{stage + 1}_block{block + 1}",
            )
        # The last layer of a block is linear (section 3.2), so the stage ends with its output.
        x = keras.layers.Identity(name=f"stride_{stride}")(x)
    return keras.Model(image, x, name="backbone")


def _inverted_residual(
    x: keras.KerasTensor, filters: int, *, expansion: int, stride: int, name: str
) -> keras.KerasTensor:
    """Expand, filter each channel, project (table 1)."""
    before = x
    if expansion > 1:
        x = convolution(
            x, expansion * x.shape[-1], width=1, activation="relu6", name=f"{name}_widen"
        )
    x = keras.layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(x)
    x = FusedBatchNormalization(momentum=MOMENTUM, name=f"{name}_depthwise_norm")(x)
    x = keras.layers.Activation("relu6", name=f"{name}_depthwise_relu6")(x)
    x = convolution(x, filters, width=1, activation=None, name=f"{name}_narrow")
    if stride == 1 and before.shape[-1] == filters:
        x = keras.layers.Add(name=f"{name}_add")([before, x])
    return x
