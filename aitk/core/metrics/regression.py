"""Regression metrics with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.task import Evaluation
from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.core.metrics.statistics import bootstrap_scores

NAMES = ("rmse", "mae", "r2", "spearman")


def score_regression(
    targets: np.ndarray, predictions: np.ndarray, *, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """RMSE, MAE, R squared and Spearman's rank correlation, with bootstrap intervals.

    Args:
        targets: (rows,) in the units of the data.
        predictions: (rows,).
        resamples: bootstrap resamples; 0 computes no intervals and is fast.
        seed: seed of the bootstrap.

    Metrics undefined for these rows are omitted, such as the correlation with a constant. Ranks
    are those of all rows, also on resamples.

    Raises:
        DataError: there are no rows.
        ArtifactError: a prediction is not finite.
    """
    if not len(targets):
        raise DataError("there are no rows to score")
    if not np.isfinite(predictions).all():
        raise ArtifactError("the model outputs are not finite", hint="Train or convert it again")
    truth, found = np.asarray(targets, float), np.asarray(predictions, float)
    errors = found - truth
    ranks, found_ranks = mean_ranks(truth), mean_ranks(found)

    def measure(counts: np.ndarray) -> np.ndarray:
        rows = counts.sum(axis=1)
        squares = counts @ errors**2 / rows
        variance = counts @ truth**2 / rows - (counts @ truth / rows) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            r2 = np.where(variance > 0, 1 - squares / variance, np.nan)
        absolute = counts @ np.abs(errors) / rows
        spearman = _correlation(counts, ranks, found_ranks)
        return np.column_stack([np.sqrt(squares), absolute, r2, spearman])

    scores = bootstrap_scores(measure, len(truth), resamples=resamples, seed=seed)
    return Evaluation(
        metrics={
            name: score
            for name, score in zip(NAMES, scores, strict=True)
            if np.isfinite(score.value)
        },
        per_row=(errors**2).astype(np.float32),
        statistic=lambda counts: measure(counts)[:, 0],
    )


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """(rows,) ranks from 1, with ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def mean_score(scores: Mapping[str, float]) -> Baseline:
    """The mean of the training rows as prediction for every row.

    Args:
        scores: statistics of the training rows, including their ``mean``.
    """

    def measure(rows: Rows, measured: Measured) -> Measured:
        return {**measured, "prediction": np.full(len(rows), scores["mean"], np.float32)}

    return Baseline("mean of the training rows", measure)


def _correlation(counts: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation of (rows,) on each resample, (resamples,)."""
    rows = counts.sum(axis=1)
    mean_a, mean_b = counts @ a / rows, counts @ b / rows
    covariance = counts @ (a * b) / rows - mean_a * mean_b
    spread = (counts @ a**2 / rows - mean_a**2) * (counts @ b**2 / rows - mean_b**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-9, covariance / np.sqrt(np.maximum(spread, 1e-300)), np.nan)
