"""The settings of segmentation models. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.vision.data.options import VIEWS
from aitk.vision.models.settings import WithBackbone

LOSSES = (
    "ce", "dice", "focal", "lovasz", "ce+dice", "ce+lovasz", "focal+dice", "focal+lovasz",
)  # fmt: skip


@dataclass(frozen=True)
class SegmentSettings(WithBackbone):
    """Settings common to all segmentation models."""

    image_size: str = option("240x320", "input size: pixels per side, or HEIGHTxWIDTH")
    view: str = option(
        "whole",
        "model input: resized whole images, or tiles at native resolution",
        choices=VIEWS,
    )
    blocks: str | None = option("2,2,2,2", "blocks per stage of the backbone")
    stem_stride: int | None = option(
        2, "stride of its first stage: 1, 2 or 4", minimum=1, maximum=4
    )
    scale: float = option(
        0.5,
        "maximum relative zoom of an image",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    loss: str = option("ce+dice", "loss function", choices=LOSSES, inherited=False)
    dropout: float = option(
        0.1,
        "dropout rate before the head",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 30
    default_steps: ClassVar[int] = 1500
    default_batch_size: ClassVar[int] = 8


@dataclass(frozen=True)
class UNetSettings(SegmentSettings):
    """Upsampling to full resolution with skip connections (Ronneberger et al. 2015)."""

    width: int = option(
        16, "channels of the finest decoder stage; more for more classes", minimum=4, maximum=512
    )


@dataclass(frozen=True)
class DeepLabSettings(SegmentSettings):
    """Multi-scale context, refined with fine features (Chen et al. 2018, DeepLabv3+)."""

    width: int = option(64, "channels of the pyramid and the decoder", minimum=8, maximum=512)
    output_stride: int = option(16, "stride of the pyramid's map: 8 or 16", minimum=2, maximum=32)


@dataclass(frozen=True)
class PspSettings(SegmentSettings):
    """Features combined with pooled regional context (Zhao et al. 2017)."""

    width: int = option(64, "channels of the pooled map", minimum=8, maximum=512)
    output_stride: int = option(8, "stride of the map: 8 or 16", minimum=2, maximum=32)
