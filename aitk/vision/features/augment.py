"""Image augmentation: boxes and masks follow the image, labels are mixed where images are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from aitk.vision.features.affine import draw_transforms, transform_sample
from aitk.vision.features.augment_settings import AugmentSettings
from aitk.vision.features.colours import draw_colours, jitter_colours
from aitk.vision.features.cutout import cut_out, draw_holes
from aitk.vision.features.mixing import draw_mosaics, make_mosaic, mix_up
from aitk.vision.features.sample import Sample
from aitk.vision.features.threads import in_threads


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
        As many new samples; with ``shares`` where the settings join images.
    """
    height, width = samples[0].image.shape[:2]
    matrices = draw_transforms(len(samples), (height, width), settings, rng)
    mosaics = draw_mosaics(samples, (height, width), settings, rng)
    colours = draw_colours(len(samples), settings, rng)
    holes = draw_holes(len(samples), (height, width), settings, rng)

    def varied(number: int) -> Sample:
        if number in mosaics:
            sample = make_mosaic(samples, matrices, mosaics[number])
        else:
            sample = transform_sample(samples[number], matrices[number])
        if colours is not None:
            image = jitter_colours(sample.image, colours.linear[number], colours.mean_share[number])
            sample = dataclasses.replace(sample, image=image)
        return sample if holes is None else cut_out(sample, holes[number])

    found = in_threads(varied, range(len(samples)), pixels=height * width)
    if settings.mixup:
        found = mix_up(found, settings, rng)
    return [_with_shares(sample) for sample in found] if settings.joins else found


def _with_shares(sample: Sample) -> Sample:
    if sample.label is None or sample.shares is not None:
        return sample
    return dataclasses.replace(sample, shares={sample.label: 1.0})
