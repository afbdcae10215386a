"""Settings of image augmentation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AugmentSettings:
    """Augmentation strengths; off by default.

    Attributes:
        flip: share of images mirrored left to right.
        vertical_flip: share of images flipped upside down.
        crop: largest share of the area removed by a random crop, which is then resized to the full
            image (Szegedy et al. 2015: 0.92).
        shift: maximum shift along each axis, as a share of the size, in whole pixels (He et al.
            2015, section 4.2: 0.125 for CIFAR).
        scale: maximum zoom: a factor between 1 / (1 + scale) and 1 + scale.
        rotate: maximum rotation in degrees, either way.
        brightness: maximum relative change of brightness.
        contrast: maximum relative change of the distance of pixels from their mean.
        saturation: maximum relative change of the distance of colours from grey.
        hue: maximum rotation of hues either way, as a share of the full circle.
        cutout: side of the masked square, as a share of the image's shorter side
            (DeVries and Taylor 2017).
        mosaic: share of images combined with three others of the batch (Bochkovskiy
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
        """Whether images are mixed, so that labels become class shares."""
        return bool(self.mosaic or self.mixup)


def augmentation_settings(settings: Any) -> AugmentSettings:
    """The augmentation settings among a model's settings, by field name."""
    names = [each.name for each in dataclasses.fields(AugmentSettings)]
    return AugmentSettings(
        **{name: getattr(settings, name) for name in names if hasattr(settings, name)}
    )
