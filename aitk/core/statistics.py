"""How sure a measured number is: bootstrap intervals and paired tests. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from aitk.core.task import Score

LEVEL = 0.95
_CHUNK_CELLS = 4_000_000  # about 32 MB of counts at a time
_EXACT_PAIRS = 1000  # up to here McNemar's test is exact

#: Maps how often each row was drawn, (resamples, rows), to values (resamples, ...).
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher ``b`` is than ``a`` on the same rows.

    Attributes:
        value: mean of b minus mean of a.
        low: lower end of the paired bootstrap interval.
        high: upper end.
        p_value: two-sided, of the hypothesis that there is no difference.
        test: the name of the test that gave the p value.
    """

    value: float
    low: float
    high: float
    p_value: float
    test: str


def resample_counts(n_rows: int, *, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw bootstrap samples as counts: (some, n_rows), each line summing to ``n_rows``.

    Counts instead of row numbers let a statistic be computed for many samples by one product.
    """
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK_CELLS // max(n_rows, 1))
    for start in range(0, resamples, size):
        drawn = rng.integers(0, n_rows, size=(min(size, resamples - start), n_rows))
        yield np.stack([np.bincount(line, minlength=n_rows) for line in drawn]).astype(float)


def bootstrap_interval(
    statistic: Statistic, n_rows: int, *, resamples: int, seed: int, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap (Efron 1979) of one or many statistics at once.

    Args:
        statistic: maps counts (resamples, rows) to (resamples, ...); NaN where it is undefined
            on a sample, which is then left out.
        n_rows: rows of the data, at least 1.
        resamples: how many samples to draw, at least 1.
        seed: seed of the drawing.
        level: coverage.

    Returns:
        The lower and the upper ends, each of the statistic's own shape.
    """
    drawn = resample_counts(n_rows, resamples=resamples, seed=seed)
    values = np.concatenate([statistic(counts) for counts in drawn])
    tail = (1 - level) / 2
    if not np.isnan(values).any():
        low, high = np.quantile(values, [tail, 1 - tail], axis=0)
        return low, high
    undefined = np.isnan(values).all(axis=0)
    low, high = np.nanquantile(np.where(undefined, 0.0, values), [tail, 1 - tail], axis=0)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def bounded_score(value: float, low: float, high: float) -> Score:
    """A score whose interval holds its value.

    Statistics that are biased on resamples (calibration error is never negative) can have a
    percentile interval beside the measured value: it is widened to it.
    """
    return Score(value, min(low, value), max(high, value))


def compare_paired(
    a: np.ndarray, b: np.ndarray, *, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Compare two systems by their scores on the same rows, (rows,) each.

    The interval is a paired bootstrap's. The p value is McNemar's where all scores are 0 or 1,
    else the bootstrap's own.
    """
    difference = paired_bootstrap(a, b, resamples=resamples, seed=seed)
    if not np.isin(a, (0, 1)).all() or not np.isin(b, (0, 1)).all():
        return difference
    p_value, test = mcnemar(a, b)
    return Difference(difference.value, difference.low, difference.high, p_value, test)


def paired_bootstrap(
    a: np.ndarray, b: np.ndarray, *, resamples: int = 10_000, seed: int = 0, level: float = LEVEL
) -> Difference:
    """Bootstrap the mean difference of two systems' scores on the same rows, (rows,) each.

    The p value is twice the smaller share of samples on either side of zero (Efron and
    Tibshirani 1993, section 15.4), never below 1 / (resamples + 1).
    """
    differences = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    # Rows with equal differences are exchangeable, so only how often each value is drawn matters.
    values, counts = np.unique(differences, return_counts=True)
    rows = len(differences)
    if len(values) <= rows / 10:
        rng = np.random.default_rng(seed)
        means = rng.multinomial(rows, counts / rows, size=resamples) @ values / rows
    else:
        drawn = resample_counts(rows, resamples=resamples, seed=seed)
        means = np.concatenate([chunk @ differences / rows for chunk in drawn])
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    below, above = int((means <= 0).sum()), int((means >= 0).sum())
    p_value = min(1.0, 2 * (1 + min(below, above)) / (resamples + 1))
    return Difference(
        float(differences.mean()), float(low), float(high), p_value, "paired bootstrap"
    )


def mcnemar(a_correct: np.ndarray, b_correct: np.ndarray) -> tuple[float, str]:
    """McNemar's test (1947) of two classifiers on the same rows: its p value and its kind.

    Only rows on which exactly one of the two is right speak. Up to 1000 of them the binomial
    test is exact; above, chi-square with continuity correction (Edwards 1948).
    """
    a, b = np.asarray(a_correct, dtype=bool), np.asarray(b_correct, dtype=bool)
    only_a, only_b = int((a & ~b).sum()), int((~a & b).sum())
    pairs = only_a + only_b
    if pairs <= _EXACT_PAIRS:
        tail = sum(math.comb(pairs, k) for k in range(min(only_a, only_b) + 1))
        return min(1.0, 2 * tail / 2**pairs), "McNemar, exact"
    chi_square = (abs(only_a - only_b) - 1) ** 2 / pairs
    # With one degree of freedom the survival function is erfc(sqrt(x / 2)).
    return math.erfc(math.sqrt(chi_square / 2)), "McNemar, chi-square"
