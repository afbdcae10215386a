"""DeepLabv3+: multi-scale context, refined with fine features (Chen et al. 2018)."""

from __future__ import annotations

import keras

from aitk.vision.models.backbones.blocks import MOMENTUM, FusedBatchNormalization, convolution
from aitk.vision.models.backbones.feature_maps import strides_of
from aitk.vision.models.input_scaling import image_input
from aitk.vision.models.segmenters.dense import feature_maps, joined, pixel_logits, resized

#: The paper's dilation rates, for the 33 x 33 map of 513 pixels at stride 16 (section 4).
RATES, RATES_MAP = (6, 12, 18), 33
#: Minimum stride of the low-level map (section 3.1).
LOW_LEVEL_STRIDE = 4


def deeplabv3plus(
    backbone: keras.Model, *, classes: int, width: int, output_stride: int, dropout: float
) -> keras.Model:
    """Put atrous spatial pyramid pooling and its decoder on a backbone.

    Args:
        backbone: model from ``image`` to a map, its stages named by their strides.
        classes: number of logits per pixel.
        width: channels of the pyramid and the decoder; 256 in the paper.
        output_stride: stride of the pyramid's map, if the backbone has one, else the nearest
            coarser stride. Coarser maps are added to it.
        dropout: dropout rate of the last map.

    Returns:
        Model from ``image`` to float32 logits (batch, height, width, classes).
    """
    size = backbone.input_shape[1:3]
    image = image_input(size)
    strides = strides_of(backbone)
    deep = [stride for stride in strides if stride >= output_stride] or strides[-1:]
    low = [stride for stride in strides if LOW_LEVEL_STRIDE <= stride < deep[0]][:1]
    maps = feature_maps(backbone, image, [*low, *deep])
    x = joined(maps[len(low) :], width)
    x = _pyramid(x, width)
    if low:
        # Few channels, so that they do not outweigh the context (section 4.1): 48 against 256.
        outlines = convolution(maps[0], max(8, width * 3 // 16), width=1, name="outlines")
        x = resized(x, outlines.shape[1:3])
        x = keras.layers.Concatenate(name="decoder_skip")([x, outlines])
    x = _separable(x, width, name="decoder_conv1")
    x = _separable(x, width, name="decoder_conv2")
    logits = pixel_logits(x, size, classes=classes, dropout=dropout)
    return keras.Model({"image": image}, logits, name="deeplabv3plus")


def scaled_rates(size: tuple[int, int]) -> tuple[int, ...]:
    """Dilation rates that cover the same share of a map (h, w) as the paper's."""
    scale = min(size) / RATES_MAP
    return tuple(max(1, round(rate * scale)) for rate in RATES)


def _pyramid(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """Atrous spatial pyramid pooling plus the image mean (section 3.1)."""
    size = x.shape[1:3]
    parts = [convolution(x, width, width=1, name="aspp_point")]
    for number, rate in enumerate(scaled_rates(size), 1):
        parts.append(_separable(x, width, rate=rate, name=f"aspp_rate{number}"))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name="aspp_mean")(x)
    mean = convolution(mean, width, width=1, name="aspp_image")
    parts.append(resized(mean, size))
    x = keras.layers.Concatenate(name="aspp")(parts)
    return convolution(x, width, width=1, name="aspp_join")


def _separable(x: keras.KerasTensor, width: int, *, rate: int = 1, name: str) -> keras.KerasTensor:
    """An atrous separable convolution, both parts normalised (section 3.1)."""
    x = keras.layers.DepthwiseConv2D(
        3, padding="same", dilation_rate=rate, use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = FusedBatchNormalization(momentum=MOMENTUM, name=f"{name}_depthwise_norm")(x)
    x = keras.layers.Activation("relu", name=f"{name}_depthwise_relu")(x)
    return convolution(x, width, width=1, name=name)
