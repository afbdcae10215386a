"""Mixing of samples: mosaics of four, and mixup of two."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aitk.vision.features.affine import replace_boxes, transform_boxes, warp
from aitk.vision.features.augment_settings import AugmentSettings
from aitk.vision.features.sample import Sample

#: Scale of each image in a mosaic.
MOSAIC_SCALES = (0.5, 1.0)
#: Boxes of an image with a smaller blending weight are dropped.
FAINTEST = 0.25


@dataclass(frozen=True)
class Mosaic:
    """Four samples by number, the corner (x, y) where they meet, and their scale."""

    numbers: tuple[int, ...]
    centre: tuple[int, int]
    scale: float


def draw_mosaics(
    samples: Sequence[Sample],
    size: tuple[int, int],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> dict[int, Mosaic]:
    """For each sample that becomes a mosaic, by number, the samples to combine."""
    if not settings.mosaic:
        return {}
    count, (height, width) = len(samples), size
    chosen = rng.random(count) < settings.mosaic
    partners = _draw_partners(samples, 3, rng)
    centres = np.rint(rng.uniform(0.25, 0.75, (count, 2)) * (width, height)).astype(int)
    scales = rng.uniform(*MOSAIC_SCALES, count)
    return {
        number: Mosaic(
            (number, *partners[number].tolist()),
            tuple(centres[number].tolist()),
            float(scales[number]),
        )
        for number in np.flatnonzero(chosen).tolist()
    }


def make_mosaic(samples: Sequence[Sample], matrices: np.ndarray, mosaic: Mosaic) -> Sample:
    """Combine four transformed samples around a corner, each cropped at the lines through it."""
    own = samples[mosaic.numbers[0]]
    height, width = own.image.shape[:2]
    x, y = mosaic.centre
    image = np.empty_like(own.image)
    mask = None if own.mask is None else np.empty_like(own.mask)
    parts, shares = [], []
    for place, number in enumerate(mosaic.numbers):
        right, below = bool(place % 2), place >= 2
        left, top = (x if right else 0), (y if below else 0)
        columns, rows = (width - x if right else x), (height - y if below else y)
        # Apply its own transformation, scale it down, then move its corner to the common one.
        matrix = matrices[number] * mosaic.scale
        matrix[0, 2] += 0 if right else x - mosaic.scale * width
        matrix[1, 2] += 0 if below else y - mosaic.scale * height
        sample = samples[number]
        inside = np.s_[top : top + rows, left : left + columns]
        image[inside] = warp(sample.image, matrix, (rows, columns))
        if mask is not None and sample.mask is not None:  # mixed samples share their kinds
            mask[inside] = warp(sample.mask, matrix, (rows, columns))
        sample = replace_boxes(sample, transform_boxes(sample.boxes, matrix), (rows, columns))
        corner = np.array([left, top, left, top], np.float32)
        parts.append(dataclasses.replace(sample, boxes=sample.boxes + corner))
        shares.append(rows * columns / (width * height))
    label, joined = _mix_labels(parts, shares)
    return Sample(
        image=image,
        label=label,
        shares=joined,
        boxes=np.concatenate([part.boxes for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
        crowd=np.concatenate([part.crowd for part in parts]),
        boxes_known=own.boxes_known,
        mask=mask,
    )


def mix_up(
    samples: Sequence[Sample], settings: AugmentSettings, rng: np.random.Generator
) -> list[Sample]:
    """Blend each sample with another; the mask is that of the stronger one."""
    import cv2

    partners = _draw_partners(samples, 1, rng)[:, 0].tolist()
    drawn = rng.beta(settings.mixup, settings.mixup, len(samples))
    found = []
    for sample, partner, share in zip(
        samples, partners, np.maximum(drawn, 1 - drawn).tolist(), strict=True
    ):
        other = samples[partner]
        label, shares = _mix_labels((sample, other), (share, 1 - share))
        both = (sample, other) if other is not sample and 1 - share >= FAINTEST else (sample,)
        found.append(
            dataclasses.replace(
                sample,
                image=cv2.addWeighted(sample.image, share, other.image, 1 - share, 0),
                label=label,
                shares=shares,
                boxes=np.concatenate([each.boxes for each in both]),
                classes=np.concatenate([each.classes for each in both]),
                crowd=np.concatenate([each.crowd for each in both]),
            )
        )
    return found


def _draw_partners(samples: Sequence[Sample], count: int, rng: np.random.Generator) -> np.ndarray:
    """(samples, count) numbers of samples with the same kinds of annotation."""
    kinds: dict[tuple[bool, ...], list[int]] = {}
    for number, sample in enumerate(samples):
        kind = (sample.label is None, sample.boxes_known, sample.mask is None)
        kinds.setdefault(kind, []).append(number)
    partners = np.zeros((len(samples), count), int)
    for numbers in kinds.values():
        partners[numbers] = rng.choice(numbers, (len(numbers), count))
    return partners


def _mix_labels(
    parts: Sequence[Sample], weights: Sequence[float]
) -> tuple[int | None, Mapping[int, float] | None]:
    """The label and ``shares`` of a mixed image, from the weights of its parts."""
    if parts[0].label is None:
        return None, None
    shares: dict[int, float] = {}
    for part, weight in zip(parts, weights, strict=True):
        own = {} if part.label is None else {part.label: 1.0}
        for number, share in (part.shares or own).items():
            shares[number] = shares.get(number, 0.0) + weight * share
    return max(shares, key=shares.__getitem__), shares
