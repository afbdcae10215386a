"""How much training images are augmented."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AugmentSettings:
    """How much images vary; nothing by default.

    Attributes:
        flip: share of the images mirrored left to right.
        vertical_flip: share of the images turned upside down.
        crop: largest share of the area cut away by a random crop, which then fills the image
            (Szegedy et al. 2015: 0.92).
        shift: most that an image is moved along each axis, as a share of its size, by whole
            pixels (He et al. 2015, section 4.2: 0.125 for CIFAR).
        scale: most that an image is enlarged or made smaller: a factor between 1 / (1 + scale)
            and 1 + scale.
        rotate: most degrees it is turned either way.
        brightness: most that it is made brighter or darker, as a share.
        contrast: the same for the distance of its pixels from their mean.
        saturation: the same for the distance of its colours from grey.
        hue: most that its colours are turned either way, as a share of the whole circle.
        cutout: side of the square that is hidden, as a share of the image's shorter side
            (DeVries and Taylor 2017).
        mosaic: share of the images that are joined with three others of the batch (Bochkovskiy
            et al. 2020, section 3.3).
        mixup: alpha of the Beta distribution of the blend with another image of the batch
            (Zhang et al. 2017); 0 for no blend.
    """

    flip: float = 0.0
    vertical_flip: float = 0.0
    crop: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    cutout: float = 0.0
    mosaic: float = 0.0
    mixup: float = 0.0

    @property
    def joins(self) -> bool:
        """Whether images are joined, so that every label comes out as shares of classes."""
        return bool(self.mosaic or self.mixup)


def augmentation_settings(settings: Any) -> AugmentSettings:
    """The augmentation in a model's settings: its fields that have these names."""
    names = [each.name for each in dataclasses.fields(AugmentSettings)]
    return AugmentSettings(
        **{name: getattr(settings, name) for name in names if hasattr(settings, name)}
    )
