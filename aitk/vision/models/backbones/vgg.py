"""VGG: plain convolutions and pooling (Simonyan and Zisserman 2015), with Keras Hub's network."""

from __future__ import annotations

import keras
import keras_hub

from aitk.vision.models.backbones import hub
from aitk.vision.models.input_scaling import IMAGENET_DEVIATION, IMAGENET_MEAN
from aitk.vision.models.settings import VggSettings, parse_blocks


def build_backbone(settings: VggSettings, size: tuple[int, int]) -> keras.Model:
    """Images of ``size`` -> the last feature map (batch, height, width, channels)."""
    blocks = parse_blocks(settings.blocks)
    network = keras_hub.models.VGGBackbone(
        stackwise_num_repeats=list(blocks),
        stackwise_num_filters=[settings.filters * 2**stage for stage in range(len(blocks))],
        image_shape=(*size, 3),
    )
    return hub.wrap(network, size, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION)
