"""Segmentation metrics: IoU, Dice, accuracy and boundary F1, with intervals.

Each image is counted once, after its prediction; the scores of a data set come from summed
counts. Void pixels are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Evaluation, Score
from aitk.core.metrics.classification import warn_of_absent_classes
from aitk.core.metrics.statistics import bootstrap_scores
from aitk.vision.features.geometry import VOID

#: Tolerance between predicted and true boundaries, relative to the image diagonal (Csurka et al.
#: 2013, section 3.2).
BOUNDARY_TOLERANCE = 0.0075
METRICS = ("mean_iou", "dice", "pixel_accuracy", "mean_accuracy", "boundary_f1")
BY_CLASS = ("iou", "dice", "precision", "recall", "boundary_f1")


def count_confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Confusion counts of pixel classes.

    Args:
        truth: (h, w) class numbers, 255 for void.
        predicted: (h, w) class numbers; 255 (no prediction) counts as an error.

    Returns:
        (classes, classes + 1) int64: one row per true class; the last column counts pixels
        without a prediction.
    """
    known = truth != VOID
    right, predicted_cells = truth[known].astype(np.int64), predicted[known].astype(np.int64)
    cells = right * (classes + 1) + np.minimum(predicted_cells, classes)
    counts = np.bincount(cells, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1)


def count_boundaries(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts of boundary pixels near a boundary of the other mask, per class.

    A boundary pixel has a neighbour of another class; void neighbours do not count.

    Args:
        truth: (h, w) class numbers, 255 for void.
        predicted: the same; void pixels of the truth are ignored.

    Returns:
        (classes, 4) int64: predicted boundary, its part near the true one, true boundary, its part
        near the predicted one.
    """
    from scipy.spatial import KDTree

    predicted = np.where(truth == VOID, VOID, predicted)
    # The tree query excludes its bound; pixels at exactly the tolerance are near too.
    reach = np.nextafter(BOUNDARY_TOLERANCE * np.hypot(*truth.shape), np.inf)
    counts = np.zeros((classes, 4), np.int64)
    outlines = [_outlines(mask, classes) for mask in (predicted, truth)]
    for count, predicted_cells, actual in zip(counts, *outlines, strict=True):
        count[[0, 2]] = len(predicted_cells), len(actual)
        # Boundaries have few pixels: trees take a sixth of the time of distance transforms.
        if len(predicted_cells) and len(actual):
            for place, (these, those) in enumerate(
                ((predicted_cells, actual), (actual, predicted_cells))
            ):
                away, _ = KDTree(those).query(these, distance_upper_bound=reach)
                count[2 * place + 1] = np.isfinite(away).sum()
    return counts


def score_masks(
    confusions: np.ndarray,
    boundaries: np.ndarray,
    labels: Sequence[str],
    *,
    resamples: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Score the predicted masks of a data set.

    Mean IoU, Dice and mean accuracy average over classes that occur in the truth or, for the
    first two, in the predictions. ``boundary_f1`` averages over the classes of each image, then
    over the images (Csurka et al. 2013).

    Args:
        confusions: (images, classes, classes + 1) from ``count_confusion``.
        boundaries: (images, classes, 4) from ``count_boundaries``.
        labels: class names.
        resamples: bootstrap resamples of images; 0 computes no intervals.
        seed: seed of the bootstrap.

    Returns:
        ``per_row`` is the mean IoU of each image, 1 if it has no known pixel.

    Raises:
        DataError: there are no images, or none with a known pixel.
    """
    if not len(confusions) or not confusions.any():
        raise DataError("there are no annotated pixels to score")
    rows = _Images(confusions, boundaries)
    scores = bootstrap_scores(rows.measure, len(confusions), resamples=resamples, seed=seed)
    metrics = dict(zip(METRICS, scores, strict=False))
    details = _details(confusions.sum(axis=0), labels, scores[len(METRICS) :])
    return Evaluation(
        metrics={name: score for name, score in metrics.items() if np.isfinite(score.value)},
        per_row=_each_mean_iou(rows),
        statistic=lambda counts: rows.measure(counts)[:, 0],
        details=details,
        warnings=warn_of_absent_classes(details["absent_classes"]),
    )


class _Images:
    """Counts per image, arranged for summing over many resamples at once."""

    def __init__(self, confusions: np.ndarray, boundaries: np.ndarray):
        self.classes = confusions.shape[1]
        right = np.diagonal(confusions, axis1=1, axis2=2)
        actual = confusions.sum(axis=2)
        predicted = confusions[:, :, : self.classes].sum(axis=1)
        # (images, 3, classes)
        self.areas = np.stack([right, actual, predicted], axis=1).astype(float)
        self.boundary_f1 = _boundary_f1(boundaries)  # (images, classes), NaN where undefined
        with np.errstate(invalid="ignore"):
            known = np.isfinite(self.boundary_f1)
            total = np.nansum(self.boundary_f1, axis=1)
            self.own_boundary_f1 = total / np.where(known.any(axis=1), known.sum(axis=1), np.nan)

    def measure(self, counts: np.ndarray) -> np.ndarray:
        """(resamples, images) -> (resamples, metrics): ``METRICS``, then ``BY_CLASS`` of each
        class, metric by metric."""
        sums = np.tensordot(counts, self.areas, axes=1)  # (resamples, 3, classes)
        right, actual, predicted = np.moveaxis(sums, 1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = right / (actual + predicted - right)
            dice = 2 * right / (actual + predicted)
            recall = right / actual
            each = [iou, dice, right / predicted, recall, _weighted_mean(counts, self.boundary_f1)]
            accuracy = right.sum(axis=1) / actual.sum(axis=1)
        overall = [
            _mean_of_known(iou),
            _mean_of_known(dice),
            accuracy,
            _mean_of_known(recall),
            _weighted_mean(counts, self.own_boundary_f1[:, None])[:, 0],
        ]
        return np.concatenate([np.stack(overall, axis=1), *each], axis=1)


def _outlines(mask: np.ndarray, classes: int) -> list[np.ndarray]:
    """For each class the coordinates (n, 2) of its pixels next to another known class."""
    border = np.zeros(mask.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = (mask[one] != mask[other]) & (mask[one] != VOID) & (mask[other] != VOID)
        border[one] |= differs
        border[other] |= differs
    places = np.argwhere(border)
    numbers = mask[border]
    return [places[numbers == number] for number in range(classes)]


def _boundary_f1(boundaries: np.ndarray) -> np.ndarray:
    """(images, classes, 4) counts -> (images, classes), NaN where the truth has no outline."""
    predicted, said_near, actual, actual_near = np.moveaxis(boundaries.astype(float), 2, 0)
    precision = np.divide(said_near, predicted, out=np.zeros_like(predicted), where=predicted > 0)
    recall = np.divide(actual_near, actual, out=np.full_like(predicted, np.nan), where=actual > 0)
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=both.copy(), where=both > 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """(resamples, classes) -> (resamples,), NaN if no class is defined."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def _weighted_mean(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(resamples, images), (images, columns) -> (resamples, columns), ignoring NaN."""
    known = np.isfinite(values)
    weight = counts @ known
    total = counts @ np.where(known, values, 0.0)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _each_mean_iou(rows: _Images) -> np.ndarray:
    right, actual, predicted = np.moveaxis(rows.areas, 1, 0)
    union = actual + predicted - right
    iou = np.divide(right, union, out=np.full_like(union, np.nan), where=union > 0)
    return np.nan_to_num(_mean_of_known(iou), nan=1.0).astype(np.float32)


def _details(
    confusion: np.ndarray, labels: Sequence[str], class_scores: list[Score]
) -> dict[str, Any]:
    pixels = confusion.sum(axis=1)
    per_class = []
    for number, label in enumerate(labels):
        entry: dict[str, Any] = {"label": label, "share": float(pixels[number] / pixels.sum())}
        for place, name in enumerate(BY_CLASS):
            entry[name] = class_scores[place * len(labels) + number].as_json()
        per_class.append(entry)
    # Percent of each class's pixels: raw pixel counts are too long to read.
    percent = 100 * confusion / np.maximum(pixels, 1)[:, None]
    return {
        "labels": list(labels),
        "absent_classes": [
            label for label, count in zip(labels, pixels.tolist(), strict=False) if not count
        ],
        "per_class": per_class,
        "confusion": {
            label: {
                other: round(float(share), 1)
                for other, share in zip(labels, line, strict=False)
                if share >= 0.05
            }
            for label, line in zip(labels, percent, strict=True)
        },
    }
