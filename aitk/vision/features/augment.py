"""Pictures varied for training; boxes and masks move along, labels blend where pictures do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.vision.features.affine import draw_moves, moved
from aitk.vision.features.colours import coloured, draw_colours
from aitk.vision.features.cutout import draw_holes, with_hole
from aitk.vision.features.mixing import blended, draw_mosaics, mosaic_of
from aitk.vision.features.sample import Sample
from aitk.vision.features.threads import in_threads


@dataclass(frozen=True)
class AugmentSettings:
    """How much pictures vary; nothing by default.

    Attributes:
        flip: share of the pictures mirrored left to right.
        vertical_flip: share of the pictures turned upside down.
        crop: largest share of the area cut away by a random crop, which then fills the picture
            (Szegedy et al. 2015: 0.92).
        shift: most that a picture is moved along each axis, as a share of its size, by whole
            pixels (He et al. 2015, section 4.2: 0.125 for CIFAR).
        scale: most that a picture is enlarged or made smaller: a factor between 1 / (1 + scale)
            and 1 + scale.
        rotate: most degrees it is turned either way.
        brightness: most that it is made brighter or darker, as a share.
        contrast: the same for the distance of its pixels from their mean.
        saturation: the same for the distance of its colours from grey.
        hue: most that its colours are turned either way, as a share of the whole circle.
        cutout: side of the square that is hidden, as a share of the picture's shorter side
            (DeVries and Taylor 2017).
        mosaic: share of the pictures that are joined with three others of the batch (Bochkovskiy
            et al. 2020, section 3.3).
        mixup: alpha of the Beta distribution of the blend with another picture of the batch
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
        """Whether pictures are joined, so that every label comes out as shares of classes."""
        return bool(self.mosaic or self.mixup)


def augmentation_of(settings: Any) -> AugmentSettings:
    """The augmentation in a model's settings: its fields that have these names."""
    names = [each.name for each in dataclasses.fields(AugmentSettings)]
    return AugmentSettings(
        **{name: getattr(settings, name) for name in names if hasattr(settings, name)}
    )


def augment(
    samples: Sequence[Sample], settings: AugmentSettings, rng: np.random.Generator
) -> list[Sample]:
    """Vary the samples of a batch.

    All numbers are drawn first, so that the result depends on the generator alone. Mosaics and
    blends join samples with the same kinds of annotation. Boxes that keep less than a fifth of
    their area, or 2 pixels of a side, are dropped; where a mask shows nothing it is 255.

    Args:
        samples: all of one size.
        rng: the batch's own.

    Returns:
        As many new samples; with ``shares`` where the settings join pictures.
    """
    height, width = samples[0].picture.shape[:2]
    moves = draw_moves(len(samples), (height, width), settings, rng)
    mosaics = draw_mosaics(samples, (height, width), settings, rng)
    colours = draw_colours(len(samples), settings, rng)
    holes = draw_holes(len(samples), (height, width), settings, rng)

    def varied(number: int) -> Sample:
        if number in mosaics:
            sample = mosaic_of(samples, moves, mosaics[number])
        else:
            sample = moved(samples[number], moves[number])
        if colours is not None:
            picture = coloured(sample.picture, colours.linear[number], colours.mean_share[number])
            sample = dataclasses.replace(sample, picture=picture)
        return sample if holes is None else with_hole(sample, holes[number])

    found = in_threads(varied, range(len(samples)), pixels=height * width)
    if settings.mixup:
        found = blended(found, settings, rng)
    return [_with_shares(sample) for sample in found] if settings.joins else found


def _with_shares(sample: Sample) -> Sample:
    if sample.label is None or sample.shares is not None:
        return sample
    return dataclasses.replace(sample, shares={sample.label: 1.0})
