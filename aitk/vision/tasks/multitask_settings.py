"""The settings of a network with several heads. Standard library only: help texts read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.vision.tasks.detect_settings import (
    DetectSettings,
    FasterRcnnSettings,
    SsdSettings,
    YoloSettings,
)
from aitk.vision.tasks.segment_settings import (
    LOSSES,
    DeepLabSettings,
    PspSettings,
    SegmentSettings,
    UNetSettings,
)
from aitk.vision.tasks.settings import CnnSettings, ResNetSettings

#: Among the targets: (batch, heads), 1 where a row has what a head is to say, in the order of the
#: heads' names.
KNOWN = "known"
BOX_HEADS: dict[str, type[DetectSettings]] = {
    "yolo": YoloSettings,
    "ssd": SsdSettings,
    "faster-rcnn": FasterRcnnSettings,
}
MASK_HEADS: dict[str, type[SegmentSettings]] = {
    "unet": UNetSettings,
    "deeplabv3plus": DeepLabSettings,
    "pspnet": PspSettings,
}


@dataclass(frozen=True)
class HeadOptions:
    """The heads, of which a model has those that its data has labels for."""

    boxes_head: str = option("yolo", "what finds boxes", choices=BOX_HEADS)
    boxes_width: int = option(64, "channels of what finds boxes", minimum=8, maximum=512)
    strides: str = option(
        "8,16,32", "pixels between the places that tell boxes; 4,8,16 for small objects"
    )
    mask_head: str = option("unet", "what tells the class of every pixel", choices=MASK_HEADS)
    mask_width: int = option(16, "channels of what tells pixels", minimum=4, maximum=512)
    mask_loss: str = option("ce+dice", "what training makes small in masks", choices=LOSSES)


@dataclass(frozen=True)
class MultitaskResNetSettings(HeadOptions, ResNetSettings):
    """Residual blocks under all heads (He et al. 2016)."""

    image_size: str = option("256x320", "pixels of a side, or HEIGHTxWIDTH")
    fit: str = option(
        "letterbox",
        "how a picture of other proportions is made to fit",
        choices=("stretch", "letterbox", "crop"),
    )
    blocks: str = option("2,2,2,2", "residual blocks of each stage")

    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 3000
    default_batch_size: ClassVar[int] = 8


@dataclass(frozen=True)
class MultitaskCnnSettings(HeadOptions, CnnSettings):
    """Plain convolutions under all heads."""

    image_size: str = option("256x320", "pixels of a side, or HEIGHTxWIDTH")
    fit: str = option(
        "letterbox",
        "how a picture of other proportions is made to fit",
        choices=("stretch", "letterbox", "crop"),
    )
    blocks: str = option("2,2,2,2", "blocks of each stage")

    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 3000
    default_batch_size: ClassVar[int] = 8


def box_settings(settings: MultitaskResNetSettings | MultitaskCnnSettings) -> DetectSettings:
    """The settings of the detector whose head is taken."""
    return BOX_HEADS[settings.boxes_head](
        image_size=settings.image_size,
        fit=settings.fit,
        strides=settings.strides,
        width=settings.boxes_width,
    )


def mask_settings(settings: MultitaskResNetSettings | MultitaskCnnSettings) -> SegmentSettings:
    """The settings of the segmentation model whose head is taken."""
    return MASK_HEADS[settings.mask_head](
        image_size=settings.image_size,
        fit=settings.fit,
        loss=settings.mask_loss,
        dropout=settings.dropout,
        width=settings.mask_width,
    )
