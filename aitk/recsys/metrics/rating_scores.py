"""How far predicted ratings are off: RMSE and MAE over ratings, with intervals over users."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Score
from aitk.core.metrics.statistics import bootstrap_scores


def rating_errors(
    predicted: np.ndarray, ratings: np.ndarray, used: np.ndarray
) -> dict[str, np.ndarray]:
    """What ``rating_scores`` needs of each row.

    Args:
        predicted: (rows, slots).
        ratings: (rows, slots) what the user gave.
        used: (rows, slots) bool, slots that hold a rating.

    Returns:
        ``ratings``, how many there are, and the sums of the ``squared`` and ``absolute`` errors,
        (rows,) each.
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
    """RMSE and MAE over all ratings, each rating counting once.

    Args:
        measured: ``ratings``, ``squared`` and ``absolute`` of each row, as ``rating_errors`` has
            them.
        resamples: of the bootstrap, which draws users; 0 gives no intervals.
        seed: of the bootstrap.

    Returns:
        ``rmse`` and ``mae``, and each row's own RMSE (rows,), 0 where it has no rating.

    Raises:
        DataError: there is no rating at all.
    """
    ratings = np.asarray(measured["ratings"], float)
    if not ratings.any():
        raise DataError("no rating to be predicted")
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
