"""Class probabilities of pixels as masks of the original images."""

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

#: Logits of this many images are held at once: each is as large as the image times classes.
BATCH_SIZE = 8


@dataclass(frozen=True)
class Segmented:
    """What a model said of one image, in pixels of the original.

    Attributes:
        mask: (height, width) uint8 class numbers, 255 where it saw nothing.
        certainty: (height, width) float32, the probability of that class.
    """

    mask: np.ndarray
    certainty: np.ndarray


def label_whole(scores: np.ndarray, fit: Fit) -> Segmented:
    """The most probable class of each of the original's pixels.

    Args:
        scores: (h, w, classes) probabilities of the fitted image's pixels.
        fit: how the original was fitted.
    """
    mask = np.full((fit.height, fit.width), VOID, np.uint8)
    certainty = np.zeros((fit.height, fit.width), np.float32)
    # A class at a time: all of them at the original's size would be gigabytes for large ones.
    for number in range(scores.shape[-1]):
        own = fit.mask_out(np.ascontiguousarray(scores[..., number]))
        better = own > certainty  # never where the original was cut off: NaN
        mask[better] = number
        certainty[better] = own[better]
    return Segmented(mask, certainty)


def label_image(original: np.ndarray, assets: ImageAssets, score: Score) -> Segmented:
    """What a model says of an image, whole or in tiles."""
    if assets.parameters["view"] == "tiles":
        return Segmented(*label_in_tiles(original, assets.size, score, batch_size=BATCH_SIZE))
    fitted, fit = fit_image(original, assets.size, how=assets.fit)
    return label_whole(score(fitted[None])[0], fit)


def pixel_scorer(predict: Callable[[np.ndarray], np.ndarray], *, mirror: bool) -> Score:
    """Images (n, h, w, 3) to probabilities (n, h, w, classes), perhaps the mean of both sides."""

    def score(images: np.ndarray) -> np.ndarray:
        scores = softmax(predict(images))
        if mirror:
            turned = softmax(predict(np.ascontiguousarray(images[:, :, ::-1])))
            scores = (scores + turned[:, :, ::-1]) / 2
        return scores

    return score


def mask_prediction(found: Segmented, labels: Sequence[str]) -> dict[str, Any]:
    """A mask as JSON: the share of each class, the mean probability, run lengths (COCO)."""
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
