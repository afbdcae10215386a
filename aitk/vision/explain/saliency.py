"""Which parts of an image contributed to a prediction, and how faithful the explanation is.

Where a model has no gradients (LiteRT, ONNX), regions are found from the predictions for partly
masked images: RISE (Petsiuk et al. 2018, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.io.images import encode_png
from aitk.vision.features.geometry import Fit

#: Maps images of the model's input size to the probability of the class, (images,).
Probability = Callable[[Sequence[np.ndarray]], np.ndarray]

MASKS = 512  # at most
FEWEST_MASKS, MASKS_AT_ONCE = 128, 64
RELIABLE = 0.75  # then the map correlates by .87 with that of infinitely many masks
CELLS = 7  # per side of a mask's grid; the paper uses 7 for 224 pixels
SHOWN = 0.5  # share of cells in which a mask shows the image
STEPS = 24  # points of a deletion or insertion curve
RANDOM_MAPS = 4
BLUR = 0.1  # standard deviation relative to the longer side, enough to hide content
MIN_SIDE = 240  # smaller images are drawn larger
HEAT_CELLS = 16  # of a side of the map that is kept of each image
SCALE_PIXELS = 16  # width of the scale of colours


def explain_image(
    original: np.ndarray,
    fitted: np.ndarray,
    fit: Fit,
    probability: Probability,
    *,
    importance: tuple[str, np.ndarray] | None = None,
    box: Sequence[float] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Show which regions support the class of an image, and test the effect of removing them.

    Args:
        original: (height, width, 3) uint8.
        fitted: (h, w, 3) uint8, the model input.
        fit: the resizing from original to input.
        importance: the method and (rows, columns) importance, from ``attribute``; without it, RISE
            with random masks is used.
        box: the explained box: x_min, y_min, x_max, y_max in pixels of the original.

    Returns:
        ``method``, for RISE with ``masks`` and ``reliability`` (see ``Rise``); ``heat``:
        importance on a coarse grid, from 0 to 1, to average over rows; ``pictures``, the original
        next to a copy with a heat map; and ``faithfulness``:
        the areas under the ``deletion`` curve (lower is better) and the ``insertion`` curve (higher
        is better; Petsiuk et al. 2018, section 4.1), those of random maps, and the mean drop in
        probability while important pixels are deleted (``named``) and while random ones are
        (``random``).
    """
    facts: dict[str, Any] = {}
    if importance is None:
        found = rise(fitted, probability, seed=seed)
        importance = (f"RISE, {found.masks} masks", found.heat)
        facts = {"masks": found.masks, "reliability": round(found.reliability, 4)}
    method, heat = importance
    heat = _spread(heat, fitted.shape[:2])
    scores = faithfulness(fitted, heat, probability, seed=seed)
    whole = fit.mask_out(heat)
    return {
        "method": method.partition(",")[0],
        **facts,
        "heat": coarse(whole),
        "faithfulness": {name: round(value, 6) for name, value in scores.items()},
        "pictures": [
            {
                "caption": f"{method}: deletion {scores['deletion']:.3f} (random"
                f" {scores['deletion_random']:.3f}), insertion {scores['insertion']:.3f} (random"
                f" {scores['insertion_random']:.3f})",
                "png": encode_png(overlay(original, whole, box=box)),
            }
        ],
    }


@dataclass(frozen=True)
class Rise:
    """A map by random masks.

    Attributes:
        heat: (h, w) importance, at least 0; the minimum is 0.
        masks: how many there were.
        reliability: estimated squared correlation with the map of infinitely many masks.
    """

    heat: np.ndarray
    masks: int
    reliability: float


def rise(image: np.ndarray, probability: Probability, *, seed: int = 0) -> Rise:
    """The mean of random masks, each weighted by the probability of the masked image.

    Masks come in pairs, of which one shows what the other hides: their difference is free of what
    all masks have in common. They come until the map has converged, at most ``MASKS``: the
    correlation r of the maps of two halves of the pairs gives the reliability of the whole,
    2r / (1 + r) (Spearman 1910, Brown 1910).

    Args:
        image: (h, w, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    size = image.shape[:2]
    hidden = image.mean(axis=(0, 1)).astype(np.float32)
    apart = image - hidden  # (h, w, 3) float32
    halves = np.zeros((2, *size), np.float32)
    count, reliability = 0, 0.0
    at_once = min(MASKS_AT_ONCE, MASKS)
    while count < MASKS and not (count >= FEWEST_MASKS and reliability >= RELIABLE):
        masks = np.stack([_mask(rng, size) for _ in range(at_once // 2)])  # (pairs, h, w)
        shown = probability([_blended(apart, hidden, mask) for mask in masks])
        rest = probability([_blended(apart, hidden, 1 - mask) for mask in masks])
        for half in (0, 1):
            values = (shown - rest)[half::2].astype(np.float32)
            halves[half] += np.tensordot(values, masks[half::2] - SHOWN, axes=1)
        count += 2 * len(masks)
        reliability = _reliability(*halves)
    heat = halves.sum(axis=0)
    return Rise((heat - heat.min()).astype(np.float32), count, reliability)


def _reliability(first: np.ndarray, second: np.ndarray) -> float:
    """Of the sum of two maps; 0 where one is constant or they disagree."""
    if not (first.std() > 0 and second.std() > 0):
        return 0.0
    correlation = max(0.0, float(np.corrcoef(first.ravel(), second.ravel())[0, 1]))
    return 2 * correlation / (1 + correlation)


def faithfulness(
    image: np.ndarray, heat: np.ndarray, probability: Probability, *, seed: int = 0
) -> dict[str, float]:
    """Areas under the deletion and insertion curves of an importance map, and of random maps.

    Deleted pixels take the mean colour of the image; inserted ones replace its blurred copy.

    Args:
        image: (h, w, 3) uint8.
        heat: (h, w) importance.
    """
    rng = np.random.default_rng(seed)
    size = image.shape[:2]
    maps = [heat, *(_spread(rng.random((CELLS, CELLS)), size) for _ in range(RANDOM_MAPS))]
    empty = np.broadcast_to(image.mean(axis=(0, 1)), image.shape)
    blurred = _blurred(image)
    deletion, insertion = [], []
    for each in maps:
        order = np.argsort(-each, axis=None, kind="stable")
        deletion.append(_area(probability(_steps(image, empty, order))))
        insertion.append(_area(probability(_steps(blurred, image, order))))
    whole = float(probability([image])[0])
    random = float(np.mean(deletion[1:]))
    return {
        "deletion": deletion[0],
        "deletion_random": random,
        "insertion": insertion[0],
        "insertion_random": float(np.mean(insertion[1:])),
        "named": whole - deletion[0],
        "random": whole - random,
    }


def coarse(heat: np.ndarray) -> list[list[float]]:
    """A map of heat in ``HEAT_CELLS`` x ``HEAT_CELLS`` cells, the most important of 1."""
    import cv2

    known = np.nan_to_num(heat).astype(np.float32)
    cells = cv2.resize(known, (HEAT_CELLS, HEAT_CELLS), interpolation=cv2.INTER_AREA)
    top = float(cells.max())
    scaled: list[list[float]] = (cells / top if top > 0 else cells).round(3).tolist()
    return scaled


def overlay(
    image: np.ndarray, heat: np.ndarray, *, box: Sequence[float] | None = None
) -> np.ndarray:
    """An image next to its heat map, with the colour scale at the right.

    Args:
        image: (h, w, 3) uint8.
        heat: (h, w) importance from 0 on; NaN where the model did not look.
        box: is drawn on both: x_min, y_min, x_max, y_max in pixels of the image.

    Returns:
        (rows, columns, 3) uint8; larger than the image where that is small.
    """
    import cv2

    top = float(np.nanmax(heat, initial=0.0))
    level = np.nan_to_num(heat) / top if top > 0 else np.zeros(heat.shape)
    factor = max(1, round(MIN_SIDE / max(image.shape[:2])))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    large = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
    level = cv2.resize(level.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = cv2.cvtColor(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    veiled = cv2.addWeighted(grey, 0.45, np.ascontiguousarray(colours), 0.55, 0)
    if box is not None:
        corners = [round(float(side) * factor) for side in box]
        width = max(2, size[1] // 160)
        large = large.copy()
        for each in (large, veiled):
            for colour, thickness in (((0, 0, 0), width + 2), ((255, 255, 255), width)):
                cv2.rectangle(each, tuple(corners[:2]), tuple(corners[2:]), colour, thickness)
    steps = np.linspace(255, 0, size[1]).astype(np.uint8)[:, None]
    scale = cv2.applyColorMap(np.repeat(steps, SCALE_PIXELS, axis=1), cv2.COLORMAP_INFERNO)
    gap = np.full((size[1], SCALE_PIXELS // 2, 3), 255, np.uint8)
    return np.concatenate([large, veiled, gap, scale[..., ::-1]], axis=1)


def _mask(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A random grid, upsampled smoothly and shifted by part of a cell (section 3.2): (h, w)."""
    cells = [min(CELLS, side // 2) for side in size]
    steps = [-(-side // count) for side, count in zip(size, cells, strict=True)]
    grid = (rng.random([count + 1 for count in cells]) < SHOWN).astype(np.float32)
    whole = _spread(
        grid, tuple((count + 1) * step for count, step in zip(cells, steps, strict=True))
    )
    top, left = (rng.integers(step) for step in steps)
    return whole[top : top + size[0], left : left + size[1]]


def _spread(grid: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A map (rows, columns) interpolated to (h, w)."""
    import cv2

    return cv2.resize(grid.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


def _blended(apart: np.ndarray, hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What a mask shows of an image, whose difference from the mean colour is ``apart``."""
    return np.rint(mask[..., None] * apart + hidden).astype(np.uint8)


def _blurred(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(image, (0, 0), BLUR * max(image.shape[:2]))


def _steps(before: np.ndarray, after: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """The images between two images as pixels change in order, both ends included."""
    start = before.reshape(-1, 3)
    end = np.rint(after).astype(np.uint8).reshape(-1, 3)
    images = []
    for count in np.linspace(0, len(order), STEPS + 1).round().astype(int):
        pixels = start.copy()
        pixels[order[:count]] = end[order[:count]]
        images.append(pixels.reshape(before.shape))
    return images


def _area(curve: np.ndarray) -> float:
    """The area under a curve over 0 to 1, by the trapezoidal rule."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))
