"""Pixel class probabilities to masks of the original images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.metrics.classification import softmax
from aitk.vision.data.formats.run_lengths import encode_runs
from aitk.vision.decoding.tiling import Score, label_in_tiles
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import VOID, Fit, fit_image

#: Number of images whose logits are held at once: each takes image size times classes.
BATCH_SIZE = 8


@dataclass(frozen=True)
class Segmented:
    """The segmentation of one image, in pixels of the original.

    Attributes:
        mask: (height, width) uint8 class numbers, 255 for unseen pixels.
        certainty: (height, width) float32, the probability of that class.
    """

    mask: np.ndarray
    certainty: np.ndarray


def label_whole(scores: np.ndarray, fit: Fit) -> Segmented:
    """The most probable class of each original pixel.

    Args:
        scores: (h, w, classes) probabilities of the resized image.
        fit: how the original was resized.
    """
    mask = np.full((fit.height, fit.width), VOID, np.uint8)
    certainty = np.zeros((fit.height, fit.width), np.float32)
    # One class at a time: all classes at the original size could take gigabytes.
    for number in range(scores.shape[-1]):
        own = fit.mask_out(np.ascontiguousarray(scores[..., number]))
        better = own > certainty  # never in cropped areas: NaN
        mask[better] = number
        certainty[better] = own[better]
    return Segmented(mask, certainty)


def label_image(original: np.ndarray, assets: ImageAssets, score: Score) -> Segmented:
    """Segment an image, whole or in tiles."""
    if assets.parameters["view"] == "tiles":
        return Segmented(*label_in_tiles(original, assets.size, score, batch_size=BATCH_SIZE))
    fitted, fit = fit_image(original, assets.size, how=assets.fit)
    return label_whole(score(fitted[None])[0], fit)


def pixel_scorer(predict: Callable[[np.ndarray], np.ndarray], *, mirror: bool) -> Score:
    """Images (n, h, w, 3) to probabilities (n, h, w, classes), optionally averaged with a flip."""

    def score(images: np.ndarray) -> np.ndarray:
        scores = softmax(predict(images))
        if mirror:
            turned = softmax(predict(np.ascontiguousarray(images[:, :, ::-1])))
            scores = (scores + turned[:, :, ::-1]) / 2
        return scores

    return score


def mask_prediction(found: Segmented, labels: Sequence[str]) -> dict[str, Any]:
    """A mask as JSON: share and mean probability of each class, run lengths (COCO)."""
    seen = found.mask != VOID
    counts = np.bincount(found.mask[seen], minlength=len(labels))
    total = max(1, int(counts.sum()))
    order = [int(number) for number in np.argsort(-counts, kind="stable") if counts[number]]
    return {
        "classes": {labels[number]: round(float(counts[number] / total), 6) for number in order},
        "probability": round(float(found.certainty[seen].mean()) if seen.any() else 0.0, 6),
        "mask": [
            {"label": labels[number], **encode_runs(found.mask == number)} for number in order
        ],
    }
