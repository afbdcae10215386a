"""Pictures moved, turned, enlarged and cropped in one step, boxes and masks with them.

A move is a matrix (2, 3) that says where each place of a picture goes, in continuous pixels.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from aitk.vision.features.geometry import GREY, VOID, box_areas, clip_boxes
from aitk.vision.features.sample import Sample

if TYPE_CHECKING:
    from aitk.vision.features.augment import AugmentSettings

#: A box of which less is left is no example of its class any more.
LEAST_SHARE, LEAST_PIXELS = 0.2, 2.0
#: Side ratios of a random crop (Szegedy et al. 2015, section 6).
CROP_RATIOS = (3 / 4, 4 / 3)
_STILL = np.eye(2, 3)


def draw_moves(
    count: int, size: tuple[int, int], settings: AugmentSettings, rng: np.random.Generator
) -> np.ndarray:
    """(count, 2, 3): where each place of a picture goes, in continuous pixels."""
    height, width = size
    corner = np.array([width, height], float)
    flips = np.ones((count, 2))
    if settings.flip:
        flips[rng.random(count) < settings.flip, 0] = -1
    if settings.vertical_flip:
        flips[rng.random(count) < settings.vertical_flip, 1] = -1
    angle = np.radians(rng.uniform(-settings.rotate, settings.rotate, count))
    zoom = (1 + settings.scale) ** rng.uniform(-1, 1, count)
    # By whole pixels: in between a small picture would be blurred.
    shift = np.rint(rng.uniform(-settings.shift, settings.shift, (count, 2)) * corner)
    turned = np.stack(
        [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1
    ).reshape(count, 2, 2)
    linear = turned * (zoom[:, None] * flips)[:, None, :]
    # All this is about the centre of the picture.
    offset = corner / 2 + shift - linear @ (corner / 2)
    if settings.crop:
        share, origin = _draw_crops(count, settings.crop, rng)
        linear = linear / share[:, :, None]
        offset = (offset - origin * corner) / share
    return np.concatenate([linear, offset[:, :, None]], axis=-1)


def moved(sample: Sample, move: np.ndarray) -> Sample:
    """The sample after a move (2, 3), seen through a window of its own size."""
    size = sample.picture.shape[:2]
    if np.array_equal(move, _STILL):
        return visible(sample)
    sample = dataclasses.replace(
        sample,
        picture=warped(sample.picture, move, size),
        mask=None if sample.mask is None else warped(sample.mask, move, size),
    )
    return with_boxes(sample, moved_boxes(sample.boxes, move), size)


def visible(sample: Sample) -> Sample:
    """The sample with its boxes cut at the picture's edges, those hardly inside left out."""
    return with_boxes(sample, sample.boxes, sample.picture.shape[:2])


def warped(pixels: np.ndarray, move: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (h, w, 3), grey around it, or a mask (h, w), void around it, after a move."""
    import cv2

    # OpenCV counts places from the centre of the first pixel.
    move = move.copy()
    move[:, 2] += move[:, :2].sum(axis=1) / 2 - 0.5
    picture = pixels.ndim == 3
    return cv2.warpAffine(
        pixels,
        move,
        size[::-1],
        flags=cv2.INTER_LINEAR if picture else cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GREY, GREY, GREY) if picture else VOID,
    )


def moved_boxes(boxes: np.ndarray, move: np.ndarray) -> np.ndarray:
    """The smallest upright boxes (n, 4) around the moved corners of boxes."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    corners = corners @ move[:, :2].T + move[:, 2]  # (n, 4, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def with_boxes(sample: Sample, boxes: np.ndarray, size: tuple[int, int]) -> Sample:
    """The sample with new places of its boxes, of which those hardly visible are left out."""
    if not len(boxes):
        return sample
    inside = clip_boxes(boxes, size)
    sides = (inside[:, 2:] - inside[:, :2]).min(axis=1)
    kept = (sides >= LEAST_PIXELS) & (box_areas(inside) >= LEAST_SHARE * box_areas(boxes))
    return dataclasses.replace(
        sample, boxes=inside[kept], classes=sample.classes[kept], crowd=sample.crowd[kept]
    )


def _draw_crops(count: int, most: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Crops as shares of width and height (count, 2), and the corners they start from."""
    area = 1 - most * rng.random(count)
    low, high = np.log(CROP_RATIOS)
    ratio = np.exp(rng.uniform(low, high, count))
    share = np.sqrt(np.stack([area * ratio, area / ratio], axis=-1)).clip(max=1)
    return share, (1 - share) * rng.random((count, 2))
