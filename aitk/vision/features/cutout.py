"""Cutout: mask a square of each image (DeVries and Taylor 2017)."""

from __future__ import annotations

import dataclasses

import numpy as np

from aitk.vision.features.affine import MIN_SHARE
from aitk.vision.features.augment_settings import AugmentSettings
from aitk.vision.features.geometry import GREY, VOID, box_areas
from aitk.vision.features.sample import Sample


def draw_holes(
    count: int, size: tuple[int, int], settings: AugmentSettings, rng: np.random.Generator
) -> np.ndarray | None:
    """(count, 4) left, top, right, bottom of the masked squares; they may cross the border."""
    side = round(settings.cutout * min(size))
    if not side:
        return None
    corners = rng.integers(-(side // 2), np.array(size[::-1]) - side // 2, (count, 2))
    return np.concatenate([corners, corners + side], axis=1)


def cut_out(sample: Sample, hole: np.ndarray) -> Sample:
    """The sample with a grey square: void in the mask; covered boxes are dropped."""
    left, top, right, bottom = hole.clip(min=0).tolist()
    inside = np.s_[top:bottom, left:right]
    image = sample.image.copy()
    image[inside] = GREY
    mask = sample.mask
    if mask is not None:
        mask = mask.copy()
        mask[inside] = VOID
    hidden = np.concatenate(
        [np.maximum(sample.boxes[:, :2], hole[:2]), np.minimum(sample.boxes[:, 2:], hole[2:])],
        axis=1,
    )
    kept = box_areas(hidden) <= (1 - MIN_SHARE) * box_areas(sample.boxes)
    return dataclasses.replace(
        sample,
        image=image,
        mask=mask,
        boxes=sample.boxes[kept],
        classes=sample.classes[kept],
        crowd=sample.crowd[kept],
    )
