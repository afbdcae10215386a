"""Keyword detection: misses against false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

POINTS = 40  # maximum points stored per curve
WANTED_PER_HOUR = (0.5, 1.0, 5.0, 20.0)


@dataclass(frozen=True)
class DetectionCurve:
    """The detection error trade-off (Martin et al. 1997), one point per threshold.

    Attributes:
        thresholds: (points,) increasing: rows at or above a threshold are detections.
        misses: (points,) share of keyword rows below it.
        false_alarms: (points,) share of other rows at or above it.
    """

    thresholds: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray

    @property
    def equal_error(self) -> float:
        """The error rate at which misses and false alarms are equal."""
        gap = self.misses - self.false_alarms  # rises from -1 to 1
        after = int(np.argmax(gap >= 0))
        if after == 0 or gap[after] == 0:
            return float((self.misses[after] + self.false_alarms[after]) / 2)
        share = gap[after - 1] / (gap[after - 1] - gap[after])
        return float(self.misses[after - 1] + share * (self.misses[after] - self.misses[after - 1]))


def detection_curve(scores: np.ndarray, is_keyword: np.ndarray) -> DetectionCurve:
    """The curve of scores (rows,), if both kinds of row (rows,) bool occur."""
    thresholds = np.append(np.unique(scores), np.inf)
    keyword, other = np.sort(scores[is_keyword]), np.sort(scores[~is_keyword])
    misses = np.searchsorted(keyword, thresholds, side="left") / len(keyword)
    false_alarms = 1 - np.searchsorted(other, thresholds, side="left") / len(other)
    return DetectionCurve(thresholds, misses, false_alarms)


def detection_details(
    targets: np.ndarray, probabilities: np.ndarray, seconds: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Misses and false alarms of every label against the others, as JSON for the report.

    Args:
        targets: (rows,) class numbers, -1 for labels unseen in training.
        probabilities: (rows, classes).
        seconds: (rows,) duration of each row: false alarms are counted per hour of rows without the
            keyword.
        labels: class names.

    Returns:
        ``tables`` and ``det``: label -> {misses, false_alarms} at up to 40 thresholds. Labels that
        occur in no row or in all rows are omitted.
    """
    table, curves = [], {}
    for index, label in enumerate(labels):
        is_keyword = targets == index
        if is_keyword.all() or not is_keyword.any():
            continue
        curve = detection_curve(probabilities[:, index], is_keyword)
        hours = seconds[~is_keyword].sum() / 3600
        per_hour = curve.false_alarms * (~is_keyword).sum() / hours
        line: dict[str, Any] = {"label": label, "equal error rate": curve.equal_error}
        for wanted in WANTED_PER_HOUR:
            # The lowest threshold with few enough false alarms has the fewest misses.
            at = int(np.argmax(per_hour <= wanted))
            line[f"misses at {wanted:g} false alarms/h"] = float(curve.misses[at])
        answered = probabilities.argmax(axis=1) == index
        line["false alarms/h as predicted"] = float((answered & ~is_keyword).sum() / hours)
        table.append(line)
        kept = np.unique(np.linspace(0, len(curve.thresholds) - 1, POINTS).round().astype(int))
        curves[label] = {
            "misses": curve.misses[kept].round(6).tolist(),
            "false_alarms": curve.false_alarms[kept].round(6).tolist(),
        }
    return {"tables": {"Detection of each keyword": table}, "det": curves}
