"""The settings of segmentation models. Standard library only: help texts read them."""

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
    """What the segmentation models share."""

    image_size: str = option("240x320", "pixels of a side, or HEIGHTxWIDTH")
    view: str = option(
        "whole",
        "whole images made to fit, or pieces of them in their own resolution (tiles)",
        choices=VIEWS,
    )
    blocks: str | None = option("2,2,2,2", "blocks of each of the backbone's stages")
    stem_stride: int | None = option(
        2, "pixels its first stage takes as one: 1, 2 or 4", minimum=1, maximum=4
    )
    scale: float = option(
        0.5,
        "share that an image is made larger or smaller by at most",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    loss: str = option("ce+dice", "what training makes small", choices=LOSSES, inherited=False)
    dropout: float = option(
        0.1,
        "share dropped before the head",
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
    """Back up to full resolution, past what each stage saw (Ronneberger et al. 2015)."""

    width: int = option(
        16, "channels of the decoder's finest stage: more for more classes", minimum=4, maximum=512
    )


@dataclass(frozen=True)
class DeepLabSettings(SegmentSettings):
    """Context at several distances, then outlines (Chen et al. 2018, DeepLabv3+)."""

    width: int = option(64, "channels of the pyramid and the decoder", minimum=8, maximum=512)
    output_stride: int = option(
        16, "pixels that a place of the pyramid's map takes: 8 or 16", minimum=2, maximum=32
    )


@dataclass(frozen=True)
class PspSettings(SegmentSettings):
    """Each place beside the means of regions around it (Zhao et al. 2017)."""

    width: int = option(64, "channels of the map that is pooled", minimum=8, maximum=512)
    output_stride: int = option(
        8, "pixels that a place of the map takes: 8 or 16", minimum=2, maximum=32
    )
