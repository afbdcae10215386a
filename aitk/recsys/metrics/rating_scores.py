"""RMSE and MAE of predicted ratings, with intervals over users."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Score
from aitk.core.metrics.statistics import bootstrap_scores


def rating_errors(
    predicted: np.ndarray, ratings: np.ndarray, used: np.ndarray
) -> dict[str, np.ndarray]:
    """The per-row values for ``rating_scores``.

    Args:
        predicted: (rows, slots).
        ratings: (rows, slots) true ratings.
        used: (rows, slots) bool, slots with a rating.

    Returns:
        ``ratings``, their number, and the sums of ``squared`` and ``absolute`` errors, (rows,)
        each.

    """
    errors = np.where(used, predicted.astype(np.float64) - ratings, 0.0)
    return {
        "ratings": np.asarray(used).sum(axis=1),
        "squared": np.square(errors).sum(axis=1),
        "absolute": np.abs(errors).sum(axis=1),
    }


def rating_scores(
    measured: Mapping[str, np.ndarray], *, resamples: int = 0, seed: int = 0
) -> tuple[dict[str, Score], np.ndarray]:
    """RMSE and MAE over all ratings, each with equal weight.

    Args:
        measured: ``ratings``, ``squared`` and ``absolute`` of each row, from ``rating_errors``.
        resamples: bootstrap resamples of users; 0 computes no intervals.
        seed: seed of the bootstrap.

    Returns:
        ``rmse`` and ``mae``, and each row's RMSE (rows,), 0 without ratings.

    Raises:
        DataError: there are no ratings.
    """
    ratings = np.asarray(measured["ratings"], float)
    if not ratings.any():
        raise DataError("there are no ratings to predict")
    sums = np.stack([measured["squared"], measured["absolute"]], axis=1)  # (rows, 2)
    per_row = np.sqrt(sums[:, 0] / np.maximum(ratings, 1))

    def statistic(counts: np.ndarray) -> np.ndarray:
        total = counts @ ratings
        means = np.full((len(counts), 2), np.nan)
        np.divide(counts @ sums, total[:, None], out=means, where=total[:, None] > 0)
        return _finished(means)

    scores = bootstrap_scores(statistic, len(ratings), resamples=resamples, seed=seed)
    return dict(zip(("rmse", "mae"), scores, strict=True)), per_row


def _finished(means: np.ndarray) -> np.ndarray:
    """(..., 2) mean squared and absolute errors to RMSE and MAE."""
    return np.stack([np.sqrt(means[..., 0]), means[..., 1]], axis=-1)
