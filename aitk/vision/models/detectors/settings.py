"""The settings of detectors. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import option
from aitk.core.io.values import to_count
from aitk.vision.models.settings import WithBackbone


@dataclass(frozen=True)
class DetectSettings(WithBackbone):
    """Settings common to all detectors."""

    image_size: str = option("256x320", "input size: pixels per side, or HEIGHTxWIDTH")
    fit: str = option(
        "letterbox",
        "how images of another aspect ratio are resized",
        choices=("stretch", "letterbox", "crop"),
    )
    blocks: str | None = option("2,2,2,2", "blocks per stage of the backbone")
    strides: str = option("8,16,32", "strides of the levels in pixels; 4,8,16 for small objects")
    width: int = option(64, "channels of the pyramid and the heads", minimum=8, maximum=512)
    scale: float = option(
        0.3,
        "maximum relative zoom of an image",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    overlap: float = option(
        0.6,
        "IoU above which the weaker of two boxes of a class is dropped",
        minimum=0.0,
        maximum=1.0,
    )
    detections: int = option(100, "maximum number of boxes per image", minimum=1, maximum=1000)

    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 50
    default_steps: ClassVar[int] = 3000
    default_batch_size: ClassVar[int] = 8


@dataclass(frozen=True)
class YoloSettings(DetectSettings):
    """One box per position, without anchors (Redmon et al. 2016; Ge et al. 2021)."""


@dataclass(frozen=True)
class SsdSettings(DetectSettings):
    """Anchor boxes of several shapes at every position (Liu et al. 2016)."""


@dataclass(frozen=True)
class FasterRcnnSettings(DetectSettings):
    """Region proposals, then classification (Ren et al. 2015)."""

    hidden: int = option(128, "size of the second stage's dense layers", minimum=8, maximum=4096)


def parse_strides(strides: str) -> tuple[int, ...]:
    """``"8,16,32"`` -> the strides of the levels.

    Raises:
        UsageError: the text is malformed, or a stride is not twice the previous one.
    """
    numbers = tuple(to_count(part) or 0 for part in strides.split(","))
    hint = "List them from fine to coarse, each twice the previous one: 8,16,32"
    if not all(numbers) or len(numbers) > 5:
        raise UsageError(f"cannot read the strides {strides!r}", where="strides", hint=hint)
    wanted = tuple(numbers[0] * 2**place for place in range(len(numbers)))
    if numbers != wanted or numbers[0] not in (2, 4, 8, 16, 32):
        raise UsageError(f"the strides are {strides}", where="strides", hint=hint)
    return numbers
