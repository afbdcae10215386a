"""How often 95% intervals hold the truth, on data sets drawn from a known one.

python bench/intervals.py
"""

from __future__ import annotations

import numpy as np

from aitk.core.metrics.statistics import bootstrap_scores, score_proportion

TRIALS, RESAMPLES = 1000, 500


def main() -> None:
    """Print the coverage of each kind of interval."""
    rng = np.random.default_rng(0)
    print("| statistic | rows | percentile bootstrap | aitk |\n|---|---|---|---|")
    for accuracy in (0.9, 0.98):
        for rows in (10, 30, 100, 300):
            right = rng.binomial(rows, accuracy, TRIALS)
            # The resamples of a share are binomial.
            drawn = rng.binomial(rows, right[:, None] / rows, (TRIALS, RESAMPLES)) / rows
            ends = np.quantile(drawn, [0.025, 0.975], axis=1)
            old = _coverage(ends[0], ends[1], accuracy)
            scores = [score_proportion(count, rows) for count in right.tolist()]
            new = _coverage([s.low for s in scores], [s.high for s in scores], accuracy)
            print(f"| accuracy {accuracy} | {rows} | {old:.3f} | {new:.3f} (Wilson) |")
    for rows in (10, 30, 100):
        ends, scores = [], []
        for trial in range(TRIALS):
            values = rng.exponential(size=rows)
            means = rng.choice(values, (RESAMPLES, rows)).mean(axis=1)
            ends.append(np.quantile(means, [0.025, 0.975]))
            scores += bootstrap_scores(
                lambda counts, values=values: counts @ values[:, None] / counts.sum(1)[:, None],
                rows,
                resamples=RESAMPLES,
                seed=trial,
            )
        old = _coverage(*np.transpose(ends), 1.0)
        new = _coverage([s.low for s in scores], [s.high for s in scores], 1.0)
        print(f"| mean of a skewed error | {rows} | {old:.3f} | {new:.3f} (BCa) |")


def _coverage(low: object, high: object, truth: float) -> float:
    inside = (np.asarray(low, float) <= truth) & (truth <= np.asarray(high, float))
    return float(inside.mean())


if __name__ == "__main__":
    main()
