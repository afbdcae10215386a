"""Image augmentation: boxes and masks are transformed with the image, labels mixed with images."""

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
    """Augment the samples of a batch.

    All random numbers are drawn first, so that the result depends only on the generator. Mosaics
    and mixup combine samples with the same kinds of annotation. Boxes that keep less than a fifth
    of their area, or 2 pixels of a side, are dropped; uncovered mask pixels are 255.

    Args:
        samples: samples of equal size.
        rng: the generator of the batch.

    Returns:
        As many new samples; with ``shares`` if the settings mix images.
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
