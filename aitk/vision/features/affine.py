"""Affine transformations of images with their boxes and masks: shift, rotation, scale, crop.

A transformation is a matrix (2, 3) from old to new coordinates, in continuous pixels.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from aitk.vision.features.augment_settings import AugmentSettings
from aitk.vision.features.geometry import GREY, VOID, box_areas, clip_boxes
from aitk.vision.features.sample import Sample

#: A box with a smaller visible share is no longer an example of its class.
MIN_SHARE, MIN_PIXELS = 0.2, 2.0
#: Aspect ratios of a random crop (Szegedy et al. 2015, section 6).
CROP_RATIOS = (3 / 4, 4 / 3)
_STILL = np.eye(2, 3)


def draw_transforms(
    count: int, size: tuple[int, int], settings: AugmentSettings, rng: np.random.Generator
) -> np.ndarray:
    """(count, 2, 3) transformations of pixel coordinates, in continuous pixels."""
    height, width = size
    corner = np.array([width, height], float)
    flips = np.ones((count, 2))
    if settings.flip:
        flips[rng.random(count) < settings.flip, 0] = -1
    if settings.vertical_flip:
        flips[rng.random(count) < settings.vertical_flip, 1] = -1
    angle = np.radians(rng.uniform(-settings.rotate, settings.rotate, count))
    zoom = (1 + settings.scale) ** rng.uniform(-1, 1, count)
    # Shift by whole pixels: fractions would blur a small image.
    shift = np.rint(rng.uniform(-settings.shift, settings.shift, (count, 2)) * corner)
    turned = np.stack(
        [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1
    ).reshape(count, 2, 2)
    linear = turned * (zoom[:, None] * flips)[:, None, :]
    # All transformations are relative to the image centre.
    offset = corner / 2 + shift - linear @ (corner / 2)
    if settings.crop:
        share, origin = _draw_crops(count, settings.crop, rng)
        linear = linear / share[:, :, None]
        offset = (offset - origin * corner) / share
    return np.concatenate([linear, offset[:, :, None]], axis=-1)


def transform_sample(sample: Sample, matrix: np.ndarray) -> Sample:
    """Apply a transformation (2, 3) to a sample, keeping its size."""
    size = sample.image.shape[:2]
    if np.array_equal(matrix, _STILL):
        return clip_sample(sample)
    sample = dataclasses.replace(
        sample,
        image=warp(sample.image, matrix, size),
        mask=None if sample.mask is None else warp(sample.mask, matrix, size),
    )
    return replace_boxes(sample, transform_boxes(sample.boxes, matrix), size)


def clip_sample(sample: Sample) -> Sample:
    """Clip boxes to the image, dropping those hardly inside."""
    return replace_boxes(sample, sample.boxes, sample.image.shape[:2])


def warp(pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Transform an image (h, w, 3), padded with grey, or a mask (h, w), padded with void."""
    import cv2

    # OpenCV coordinates start at the centre of the first pixel.
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    image = pixels.ndim == 3
    return cv2.warpAffine(
        pixels,
        matrix,
        size[::-1],
        flags=cv2.INTER_LINEAR if image else cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GREY, GREY, GREY) if image else VOID,
    )


def transform_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The axis-aligned bounding boxes (n, 4) of transformed boxes."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]  # (n, 4, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def replace_boxes(sample: Sample, boxes: np.ndarray, size: tuple[int, int]) -> Sample:
    """The sample with new box coordinates, without boxes that are hardly visible."""
    if not len(boxes):
        return sample
    inside = clip_boxes(boxes, size)
    sides = (inside[:, 2:] - inside[:, :2]).min(axis=1)
    kept = (sides >= MIN_PIXELS) & (box_areas(inside) >= MIN_SHARE * box_areas(boxes))
    return dataclasses.replace(
        sample, boxes=inside[kept], classes=sample.classes[kept], crowd=sample.crowd[kept]
    )


def _draw_crops(
    count: int, max_share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Crops as shares of width and height (count, 2), and their start corners."""
    area = 1 - max_share * rng.random(count)
    low, high = np.log(CROP_RATIOS)
    ratio = np.exp(rng.uniform(low, high, count))
    share = np.sqrt(np.stack([area * ratio, area / ratio], axis=-1)).clip(max=1)
    return share, (1 - share) * rng.random((count, 2))
