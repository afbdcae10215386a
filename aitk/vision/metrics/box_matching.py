"""COCO matching of detections with objects, recounted for every bootstrap resample.

Arrays are those of ``average_precision``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aitk.vision.features.boxes import overlaps

#: 0.5, 0.55, ... 0.95, and the recall levels at which precision is read, as in COCO.
OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
#: Maximum number of detections per class and image that are scored.
MAX_DETECTIONS = 100
#: Resamples times detections counted at once: 32 MB per array.
CELLS = 4_000_000


@dataclass(frozen=True)
class Matches:
    """The detections of one class in all images, best first.

    Attributes:
        images: (n,) image of each detection.
        scores: (n,).
        right: (overlaps, n) whether it finds an object not found by a better detection.
        ignored: (overlaps, n) whether it matches an unscored object.
        objects: (images,) number of objects to find.
    """

    images: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray


def match_class(found: Sequence[np.ndarray], objects: Sequence[np.ndarray], number: int) -> Matches:
    """Match the detections of a class with its objects as pycocotools does."""
    images, scores, right, ignored = [], [], [], []
    wanted = np.zeros(len(found))
    for image, (all_found, all_objects) in enumerate(zip(found, objects, strict=True)):
        truth = all_objects[all_objects[:, 4] == number]
        wanted[image] = (truth[:, 5] > 0).sum()
        made = all_found[all_found[:, 5] == number]
        made = made[np.argsort(-made[:, 4], kind="mergesort")][:MAX_DETECTIONS]
        hit, skipped = _match(made, truth)
        images.append(np.full(len(made), image))
        scores.append(made[:, 4])
        right.append(hit)
        ignored.append(skipped)
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    return Matches(
        np.concatenate(images)[order],
        np.concatenate(scores)[order],
        np.concatenate(right, axis=1)[:, order],
        np.concatenate(ignored, axis=1)[:, order],
        wanted,
    )


def average_precisions(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """Average precision of a class at each overlap, for many resamples of the images.

    Args:
        counts: (resamples, images) how often each image was drawn.

    Returns:
        (resamples, overlaps), NaN for resamples without an object of the class.
    """
    size = max(1, CELLS // max(len(OVERLAPS) * len(RECALLS), len(matches.scores)))
    parts = [
        _average_precisions(matches, counts[start : start + size])
        for start in range(0, len(counts), size)
    ]
    return np.concatenate(parts)


def precision_recall(matches: Sequence[Matches]) -> tuple[np.ndarray, np.ndarray]:
    """The values of ``reference`` for objects of all sizes, from the matches of each class."""
    precision = np.full((len(OVERLAPS), len(RECALLS), len(matches), 1), -1.0)
    recall = np.full((len(OVERLAPS), len(matches), 1), -1.0)
    for number, item in enumerate(matches):
        total = item.objects.sum()
        if total:
            once = np.ones((1, len(item.objects)))
            precision[:, :, number, 0] = _precisions(item, once)[0]
            recall[:, number, 0] = (item.right & ~item.ignored).sum(axis=1) / total
    return precision, recall


def _average_precisions(matches: Matches, counts: np.ndarray) -> np.ndarray:
    values = _precisions(matches, counts).mean(axis=2)
    values[counts @ matches.objects == 0] = np.nan
    return values


def _precisions(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """(resamples, images) -> (resamples, overlaps, recalls): the precision at each recall."""
    objects = counts @ matches.objects
    weights = counts[:, matches.images]  # (resamples, n)
    overlaps = len(matches.right)
    values = np.zeros((len(counts), overlaps, len(RECALLS)))
    for place in range(overlaps):
        seen = ~matches.ignored[place]
        hits = matches.right[place] & seen
        # Precision peaks where an object is found: no other points are needed.
        right = np.cumsum(weights[:, hits], axis=1)
        reported = np.cumsum(weights * seen, axis=1)[:, hits]
        precision = np.divide(right, reported, out=np.zeros_like(right), where=reported > 0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        best = np.pad(best, ((0, 0), (0, 1)))  # unreached recall levels
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = right / objects[:, None]
        for line in range(len(counts)):
            reached = np.searchsorted(recall[line], RECALLS, side="left")
            values[line, place] = best[line, reached]
    return values


def _match(made: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For one image and class: (overlaps, n) matched and ignored detections."""
    shape = (len(OVERLAPS), len(made))
    right, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    if not len(made) or not len(truth):
        return right, ignored
    crowd = truth[:, 5] <= 0
    shared = overlaps(made[:, :4], truth[:, :4], crowd=crowd)
    free = np.ones((len(OVERLAPS), len(truth)), bool)
    lines = np.arange(len(OVERLAPS))
    for place in np.flatnonzero(shared.max(axis=1) >= OVERLAPS[0]):
        near = np.where(free & (shared[place] >= OVERLAPS[:, None]), shared[place], -1.0)
        # Scored objects take precedence over unscored ones.
        for kind, flags in ((~crowd, right), (crowd, ignored)):
            value = np.where(kind, near, -1.0)
            last = value.shape[1] - 1 - value[:, ::-1].argmax(axis=1)  # the last of equals
            hit = (value[lines, last] >= 0) & ~right[:, place]
            flags[hit, place] = True
            free[lines[hit], last[hit]] = False
        free[:, crowd] = True  # a crowd can match repeatedly
    return right, ignored
