"""Uncertainty of measured numbers: intervals and paired tests. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from aitk.core.contract.task import Evaluation, Score
from aitk.core.runtime import interrupts

LEVEL = 0.95
#: With fewer rows, a bootstrap interval would be too narrow.
MIN_ROWS = 10
WILSON, BCA, PERCENTILE = "Wilson", "BCa bootstrap", "percentile bootstrap"
_USES = {
    WILSON: "Wilson for proportions of rows",
    PERCENTILE: "percentile bootstrap where resampling biases the metric",
}
#: A value outside the central range of its resamples shows that resampling biases the statistic.
_UNBIASED = 0.1
_ROUNDING = 1e-12
_JACKKNIFE_GROUPS = 200
_CHUNK_CELLS = 4_000_000  # about 32 MB of counts at once
_EXACT_PAIRS = 1000  # up to this number, McNemar's test is exact

#: Maps bootstrap counts of the rows, (resamples, rows), to values (resamples, ...).
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between ``b`` and ``a`` on the same rows.

    Attributes:
        value: mean of b minus mean of a.
        low: lower end of the paired bootstrap interval.
        high: upper end.
        p_value: two-sided, for the hypothesis of no difference.
        test: name of the test for the p value.
    """

    value: float
    low: float
    high: float
    p_value: float
    test: str


@dataclass(frozen=True, slots=True)
class Drop:
    """The loss in a metric on the same rows: positive is worse, for either direction.

    Attributes:
        value: the drop.
        low: lower end of its paired bootstrap interval, if any.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the interval excludes zero on the loss side."""
        return self.low is not None and self.low > 0


def resample_counts(n_rows: int, *, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw bootstrap samples as counts: (some, n_rows), each row summing to ``n_rows``.

    With counts instead of row numbers, one matrix product computes a statistic for many samples.
    """
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK_CELLS // max(n_rows, 1))
    for start in range(0, resamples, size):
        interrupts.check()
        drawn = rng.integers(0, n_rows, size=(min(size, resamples - start), n_rows))
        yield np.stack([np.bincount(line, minlength=n_rows) for line in drawn]).astype(float)


def score_proportion(successes: float, trials: float) -> Score:
    """A proportion of independent trials, with the interval of Wilson (1927).

    It is wide for few trials, even if all or none succeeded. NaN without trials.
    """
    if not trials:
        return Score(math.nan)
    share, z = successes / trials, NormalDist().inv_cdf((1 + LEVEL) / 2)
    scale = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2) / scale
    low, high = max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
    return Score(share, low, high, WILSON)


def bootstrap_scores(
    statistic: Statistic,
    n_rows: int,
    *,
    resamples: int,
    seed: int,
    values: Sequence[float] | None = None,
) -> list[Score]:
    """One or more statistics of the rows, with bootstrap intervals.

    Intervals are bias-corrected and accelerated (BCa, Efron 1987), with the acceleration from a
    jackknife of up to 200 groups of rows. A statistic that resampling biases (calibration error is
    never negative) has a percentile interval (Efron 1979), extended to its value.

    There is no interval below ``MIN_ROWS`` rows, nor if all resamples have the same value: the
    bootstrap cannot assess a constant.

    Args:
        statistic: maps counts (resamples, rows) to (resamples, statistics); NaN for samples on
            which it is undefined, which are excluded.
        n_rows: number of rows, at least 1.
        resamples: number of samples; 0 for no intervals.
        seed: seed of the sampling.
        values: the statistics of the rows; None: computed.
    """
    point = statistic(np.ones((1, n_rows)))[0] if values is None else np.asarray(values, float)
    if not resamples or n_rows < MIN_ROWS:
        return [Score(float(value)) for value in point]
    drawn = resample_counts(n_rows, resamples=resamples, seed=seed)
    samples = np.concatenate([statistic(counts) for counts in drawn])
    left_out = np.concatenate([statistic(kept) for kept in _groups_left_out(n_rows, seed)])
    return [
        _bootstrap_score(float(value), sample, jackknife)
        for value, sample, jackknife in zip(point, samples.T, left_out.T, strict=True)
    ]


def describe_intervals(scores: Iterable[Mapping[str, Any]]) -> str:
    """Describe the interval methods of scores given as JSON; "" without intervals."""
    methods = list(dict.fromkeys(score["interval"] for score in scores if score.get("interval")))
    uses = ", ".join(_USES.get(method, method) for method in methods)
    return f"95% intervals: {uses}" if methods else ""


def ratio_statistic(
    sums: np.ndarray, sizes: np.ndarray, *, finish: Callable[[np.ndarray], np.ndarray] | None = None
) -> Statistic:
    """The statistic of a ratio of two sums over rows: errors per word, loss per token.

    Args:
        sums: (rows,) numerators.
        sizes: (rows,) denominators.
        finish: maps the ratio to the metric, as ``np.exp`` maps a loss to a perplexity.
    """

    def statistic(counts: np.ndarray) -> np.ndarray:
        total = counts @ sizes
        ratio = np.divide(counts @ sums, total, out=np.full(len(counts), np.nan), where=total > 0)
        return finish(ratio) if finish else ratio

    return statistic


def _groups_left_out(n_rows: int, seed: int) -> Iterator[np.ndarray]:
    """Counts (some, n_rows) of samples that each leave out one group of rows."""
    groups = min(n_rows, _JACKKNIFE_GROUPS)
    group = np.random.default_rng(seed).permutation(np.arange(n_rows) % groups)
    size = max(1, _CHUNK_CELLS // n_rows)
    for start in range(0, groups, size):
        numbers = np.arange(start, min(start + size, groups))
        yield (group != numbers[:, None]).astype(float)


def _bootstrap_score(value: float, sample: np.ndarray, jackknife: np.ndarray) -> Score:
    """A score with its interval, from bootstrap and jackknife values."""
    sample = sample[np.isfinite(sample)]
    if not math.isfinite(value) or len(sample) < 2 or np.ptp(sample) <= _ROUNDING * abs(value):
        return Score(value)
    normal, tail = NormalDist(), (1 - LEVEL) / 2
    below = float(((sample < value).sum() + (sample == value).sum() / 2) / len(sample))
    if not _UNBIASED < below < 1 - _UNBIASED:
        low, high = np.quantile(sample, [tail, 1 - tail]).tolist()
        return Score(value, min(low, value), max(high, value), PERCENTILE)
    bias, acceleration = normal.inv_cdf(below), _acceleration(jackknife)
    ends = []
    for share in (tail, 1 - tail):
        shifted = bias + normal.inv_cdf(share)
        ends.append(normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.quantile(sample, ends).tolist()
    return Score(value, min(low, value), max(high, value), BCA)


def _acceleration(jackknife: np.ndarray) -> float:
    """The rate of change of the standard error with the statistic (Efron 1987, equation 7.4)."""
    known = jackknife[np.isfinite(jackknife)]
    deviations = known.mean() - known if len(known) else known
    spread = float((deviations**2).sum())
    return float((deviations**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def compare_paired(
    a: np.ndarray, b: np.ndarray, *, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Compare two systems by their scores on the same rows, (rows,) each.

    The interval is a paired bootstrap's. The p value is McNemar's if all scores are 0 or 1, else
    the bootstrap's own.
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

    The p value is twice the smaller share of samples on either side of zero (Efron and Tibshirani
    1993, section 15.4), but at least 1 / (resamples + 1).
    """
    differences = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    # Rows with equal differences are exchangeable, so only the counts of each value matter.
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


def measure_drop(
    before: Evaluation,
    after: Evaluation,
    *,
    metric: str,
    higher_is_better: bool,
    resamples: int,
    seed: int = 0,
) -> Drop:
    """The drop in ``metric``, both scored on the same rows in the same order.

    The interval is that of the metric itself, recomputed on each resample, not of a mean over rows.

    Args:
        metric: the main metric, as computed by ``Evaluation.statistic``.
    """
    sign = 1 if higher_is_better else -1
    value = sign * (before.metrics[metric].value - after.metrics[metric].value)

    def dropped(counts: np.ndarray) -> np.ndarray:
        return sign * (before.resampled(counts) - after.resampled(counts))[:, None]

    (score,) = bootstrap_scores(
        dropped, len(before.per_row), resamples=resamples, seed=seed, values=[value]
    )
    return Drop(value, score.low, score.high)


def mcnemar(a_correct: np.ndarray, b_correct: np.ndarray) -> tuple[float, str]:
    """McNemar's test (1947) of two classifiers on the same rows: p value and test variant.

    Only rows on which exactly one of them is right are informative. Up to 1000 of them, the
    binomial test is exact; above, chi-square with continuity correction (Edwards 1948).
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
