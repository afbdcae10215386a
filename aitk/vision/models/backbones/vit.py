"""The vision transformer (Dosovitskiy et al. 2021), Keras Hub's network.

It has no class token: the mean of the patches serves as well (Beyer et al. 2022, "Better plain ViT
baselines"), and the patches are a map that other heads can read.
"""

from __future__ import annotations

import keras
import keras_hub

from aitk.core.contract.errors import UsageError
from aitk.vision.models.backbones import hub
from aitk.vision.models.input_scaling import IMAGENET_DEVIATION, IMAGENET_MEAN
from aitk.vision.models.settings import VitSettings


def build_backbone(settings: VitSettings, size: tuple[int, int]) -> keras.Model:
    """Images of ``size`` -> a vector for each patch (batch, rows, columns, hidden)."""
    if settings.hidden % settings.heads:
        raise UsageError(
            f"hidden={settings.hidden} is not divisible by heads={settings.heads}",
            where="--set hidden",
        )
    if any(side % settings.patch for side in size):
        raise UsageError(
            f"patches of {settings.patch} pixels do not divide images of {size[0]} x {size[1]}",
            where="--set patch",
        )
    network = keras_hub.models.ViTBackbone(
        image_shape=(*size, 3),
        patch_size=settings.patch,
        num_layers=settings.layers,
        num_heads=settings.heads,
        hidden_dim=settings.hidden,
        mlp_dim=4 * settings.hidden,
        dropout_rate=settings.dropout,
        use_class_token=False,
    )
    return hub.wrap(network, size, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION)
