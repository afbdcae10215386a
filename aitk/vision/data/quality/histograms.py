"""How numbers that were measured of many pictures spread, for reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BARS = 30
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


def describe(values: Sequence[float]) -> dict[str, float]:
    """Their mean, some percentiles and the largest; of no numbers nothing."""
    if not len(values):
        return {}
    numbers = np.array(values, np.float64)
    cuts = np.percentile(numbers, _PERCENTILES)
    return {
        "mean": round(float(numbers.mean()), 3),
        **{
            f"p{share}": round(float(cut), 3) for share, cut in zip(_PERCENTILES, cuts, strict=True)
        },
        "most": round(float(numbers.max()), 3),
    }


def histogram(values: Sequence[float]) -> dict[str, list[float]]:
    """Counts by value; the outermost 1% on either side count as the outermost of the others."""
    if not len(values):
        return {"x": [], "y": []}
    numbers = np.array(values, np.float64)
    low, high = np.percentile(numbers, [1, 99])
    counts, edges = np.histogram(np.clip(numbers, low, high), bins=min(_BARS, len(numbers)))
    return {"x": ((edges[:-1] + edges[1:]) / 2).round(3).tolist(), "y": counts.tolist()}
