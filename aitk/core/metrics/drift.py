"""Detectors of change in a stream of numbers, one number at a time.

``Adwin``: adaptive windowing (Bifet and Gavalda 2007). ``PageHinkley``: the test of Page (1954) in
its two-sided form, with forgetting. Their defaults are those of river, whose detections they share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol


class Detector(Protocol):
    """Is shown a stream; forgets what came before a change that it reports."""

    def update(self, value: float) -> bool:
        """Look at the next number. Returns whether the stream has changed."""


@dataclass
class _Buckets:
    """Windows of equal length, the oldest first: their sums, and sums of squared deviations."""

    totals: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)


class Adwin:
    """A window that keeps growing, until the means of an older and a newer part of it differ.

    The window is kept as an exponential histogram: buckets of 1, 2, 4, ... numbers, at most
    ``max_buckets`` of each size, so that n numbers take O(log n) memory (section 3.2 of the paper).
    Two parts of n0 and n1 numbers differ where their means are further apart than

        sqrt(2 / m * variance * ln(2 / delta')) + 2 / (3 * m) * ln(2 / delta')

    with 1/m = 1/n0 + 1/n1 and delta' = delta / ln(n) (theorem 3.2); lengths count from
    ``min_window_length`` on.

    Args:
        delta: bound on the chance of a false alarm at each look.
        clock: looks for a cut every so many numbers.
        max_buckets: of one size.
        min_window_length: numbers in each part, at least.
        grace_period: numbers before the first look.
    """

    def __init__(
        self,
        delta: float = 0.002,
        *,
        clock: int = 32,
        max_buckets: int = 5,
        min_window_length: int = 5,
        grace_period: int = 10,
    ):
        self.delta, self.clock, self.max_buckets = delta, clock, max_buckets
        self.min_window_length, self.grace_period = min_window_length, grace_period
        self._reset()

    def _reset(self) -> None:
        self._seen = 0
        self._rows = [_Buckets()]  # of buckets of 2**index numbers
        self.width, self._total, self._squares = 0, 0.0, 0.0

    @property
    def mean(self) -> float:
        """Of the window; 0 while it is empty."""
        return self._total / self.width if self.width else 0.0

    @property
    def variance(self) -> float:
        """Of the window; 0 while it is empty."""
        return self._squares / self.width if self.width else 0.0

    def update(self, value: float) -> bool:
        """See ``Detector``."""
        if self.width:
            self._squares += self.width * (value - self.mean) ** 2 / (self.width + 1)
        self.width += 1
        self._total += value
        newest = self._rows[0]
        newest.totals.append(value)
        newest.squares.append(0.0)
        self._merge()
        self._seen += 1
        if self._seen % self.clock or self.width <= self.grace_period:
            return False
        changed = self._has_cut()
        if changed:  # one change is one report: what is left may still hold some of what was before
            self._reset()
        return changed

    def _merge(self) -> None:
        """Join the two oldest buckets of a size that has one too many."""
        for index, row in enumerate(self._rows):
            if len(row.totals) <= self.max_buckets:
                return
            if index + 1 == len(self._rows):
                self._rows.append(_Buckets())
            size = 2**index
            one, two = row.totals[0], row.totals[1]
            apart = (one - two) / size
            squares = row.squares[0] + row.squares[1] + size * apart**2 / 2
            del row.totals[:2], row.squares[:2]
            self._rows[index + 1].totals.append(one + two)
            self._rows[index + 1].squares.append(squares)

    def _has_cut(self) -> bool:
        """Whether the window falls into two parts."""
        older, older_total = 0, 0.0
        confidence = math.log(2 * math.log(self.width) / self.delta)
        for index in range(len(self._rows) - 1, -1, -1):
            for place, total in enumerate(self._rows[index].totals):
                if index == 0 and place == len(self._rows[0].totals) - 1:
                    return False  # nothing would be newer
                older += 2**index
                older_total += total
                newer = self.width - older
                if min(older, newer) < self.min_window_length:
                    continue
                least = self.min_window_length - 1
                inverse = 1 / (older - least) + 1 / (newer - least)
                bound = math.sqrt(2 * inverse * self.variance * confidence)
                bound += 2 / 3 * confidence * inverse
                apart = older_total / older - (self._total - older_total) / newer
                if abs(apart) > bound:
                    return True
        return False


class PageHinkley:
    """The cumulated deviation from the mean so far, which rises or falls after a change.

    Args:
        threshold: how far the sum may be from its extreme.
        delta: deviation that is no change.
        min_rows: before the first report.
        alpha: share that each step leaves of the sum so far.
    """

    def __init__(
        self,
        threshold: float = 50.0,
        *,
        delta: float = 0.005,
        min_rows: int = 30,
        alpha: float = 0.9999,
    ):
        self.threshold, self.delta, self.min_rows, self.alpha = threshold, delta, min_rows, alpha
        self._reset()

    def _reset(self) -> None:
        self._rows, self._mean = 0, 0.0
        self._rise, self._fall = 0.0, 0.0
        self._lowest, self._highest = math.inf, -1.0

    def update(self, value: float) -> bool:
        """See ``Detector``."""
        self._rows += 1
        self._mean += (value - self._mean) / self._rows
        apart = value - self._mean
        self._rise = self.alpha * self._rise + apart - self.delta
        self._fall = self.alpha * self._fall + apart + self.delta
        self._lowest = min(self._lowest, self._rise)
        self._highest = max(self._highest, self._fall)
        changed = self._rows >= self.min_rows and (
            self._rise - self._lowest > self.threshold
            or self._highest - self._fall > self.threshold
        )
        if changed:
            self._reset()
        return changed
