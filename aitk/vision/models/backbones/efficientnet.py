"""EfficientNet (Tan and Le 2019): stages of B0 at any width and depth, with Keras Hub's network."""

from __future__ import annotations

import keras
import keras_hub

from aitk.vision.models.backbones import hub
from aitk.vision.models.input_scaling import IMAGENET_DEVIATION, IMAGENET_MEAN
from aitk.vision.models.settings import EfficientNetSettings

#: Table 1 of the paper.
KERNELS = [3, 3, 5, 3, 5, 5, 3]
REPEATS = [1, 2, 2, 3, 3, 4, 1]
INPUTS = [32, 16, 24, 40, 80, 112, 192]
OUTPUTS = [16, 24, 40, 80, 112, 192, 320]
EXPANSIONS = [1, 6, 6, 6, 6, 6, 6]
STRIDES = [1, 2, 2, 2, 1, 2, 1]


def build_backbone(settings: EfficientNetSettings, size: tuple[int, int]) -> keras.Model:
    """Images of ``size`` -> the last feature map (batch, height / 32, width / 32, channels)."""
    network = keras_hub.models.EfficientNetBackbone(
        width_coefficient=settings.width,
        depth_coefficient=settings.depth,
        stackwise_kernel_sizes=KERNELS,
        stackwise_num_repeats=REPEATS,
        stackwise_input_filters=INPUTS,
        stackwise_output_filters=OUTPUTS,
        stackwise_expansion_ratios=EXPANSIONS,
        stackwise_squeeze_and_excite_ratios=[0.25] * 7,
        stackwise_strides=STRIDES,
        stackwise_block_types=["v1"] * 7,
        dropout=0.2,
        input_shape=(*size, 3),
    )
    return hub.wrap(network, size, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION)
