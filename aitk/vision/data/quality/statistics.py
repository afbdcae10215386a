"""Statistics of a data set: names, class counts, percentiles, histograms."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

import numpy as np

from aitk.core.contract.rows import SPLITS

_BARS = 30
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


class Names:
    """A memory-efficient list of names."""

    def __init__(self) -> None:
        self._text, self._ends = bytearray(), array("Q", [0])

    def append(self, name: str) -> None:
        self._text += name.encode("utf-8", errors="replace")
        self._ends.append(len(self._text))

    def __getitem__(self, row: int) -> str:
        return self._text[self._ends[row] : self._ends[row + 1]].decode()


class ClassCounts:
    """Frequency of each class by split."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._split_counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}

    def add(self, split: str, name: str, count: int = 1) -> int:
        """Count a class, and return its number."""
        self._split_counts[split][name] += count
        return self._numbers.setdefault(name, len(self._numbers))

    def table(self) -> dict[str, dict[str, int]]:
        """Split -> class -> count, in the order of the classes."""
        return {split: dict(sorted(found.items())) for split, found in self._split_counts.items()}


def describe(values: Sequence[float]) -> dict[str, float]:
    """Mean, percentiles and maximum of the values; empty without values."""
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
    """Counts by value; the outermost 1% on either side are clipped."""
    if not len(values):
        return {"x": [], "y": []}
    numbers = np.array(values, np.float64)
    low, high = np.percentile(numbers, [1, 99])
    counts, edges = np.histogram(np.clip(numbers, low, high), bins=min(_BARS, len(numbers)))
    return {"x": ((edges[:-1] + edges[1:]) / 2).round(3).tolist(), "y": counts.tolist()}
