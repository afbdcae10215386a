"""How often each class comes in each split."""

from __future__ import annotations

from collections import Counter

from aitk.core.contract.rows import SPLITS


class Counts:
    """How often each class comes, by split."""

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
