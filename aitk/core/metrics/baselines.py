"""Baselines: scores of simple predictors, fitted to the training rows, on the same rows.

A task that implements ``HasBaselines`` declares them; stages show their scores with those of the
model, and warn if the model is not better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.capabilities import HasBaselines, Measured, Rows
from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Assets, Task
from aitk.core.metrics.statistics import paired_bootstrap
from aitk.core.reporting.numbers import format_number
from aitk.core.training.batches import take_rows

#: Maximum number of rows, evenly sampled, for baselines, to bound their time.
MOST_ROWS = 20_000
#: Bootstrap resamples of the difference between model and baseline.
RESAMPLES = 1000


@dataclass(frozen=True)
class Baseline:
    """A simple predictor, fitted to the training rows.

    Attributes:
        name: display name: "majority class".
        measure: the values of ``Task.measure`` for its predictions, from the rows and the values
            measured for the model on the same rows, which include the targets.
    """

    name: str
    measure: Callable[[Rows, Measured], Measured]


@dataclass(frozen=True)
class BaselineScores:
    """The scores of a baseline.

    Attributes:
        name: name of the baseline.
        value: its main metric.
        per_row: (rows,) the values that the main metric averages.
    """

    name: str
    value: float
    per_row: np.ndarray


def score_baselines(
    task: Task,
    train: Rows,
    summary: Mapping[str, Any],
    assets: Assets,
    rows: Rows,
    measured: Measured,
) -> list[BaselineScores]:
    """Fit the task's baselines and score them with the task's own metrics.

    Args:
        rows: the rows on which the model was scored; at most ``MOST_ROWS`` are used.
        measured: values measured for the model on them.
    """
    if not isinstance(task, HasBaselines):
        return []
    places = spread(len(rows), MOST_ROWS)
    if len(places) < len(rows):
        rows = take_rows(rows, places)
        measured = {name: values[places] for name, values in measured.items()}
    scores = []
    for baseline in task.baselines(train, summary, assets):
        try:
            evaluation = task.score(baseline.measure(rows, measured), assets)
        except DataError:  # nothing to score; the model's score reports it
            continue
        main = evaluation.metrics.get(task.metric.name)
        if main is not None:
            per_row = np.asarray(evaluation.per_row, float)
            scores.append(BaselineScores(baseline.name, main.value, per_row))
    return scores


def spread(count: int, most: int) -> np.ndarray:
    """Up to ``most`` of ``count`` row numbers, evenly spaced."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def compare_with_baselines(
    task: Task, value: float, per_row: np.ndarray, scores: Sequence[BaselineScores]
) -> list[dict[str, Any]]:
    """The gain of the model over each baseline, in the form of ``metrics.json``.

    Args:
        value: the model's main metric.
        per_row: (rows,) the values that it averages, for all rows.

    Returns:
        For each baseline its ``name`` and ``value``; ``gain``, the mean improvement per row, with
        its paired 95% interval; ``rows``, if not all were compared.
    """
    sign = 1 if task.metric.higher_is_better else -1
    places = spread(len(per_row), MOST_ROWS)
    own = sign * np.asarray(per_row, float)[places]
    entries = []
    for each in scores:
        gain = paired_bootstrap(sign * each.per_row, own, resamples=RESAMPLES)
        entry: dict[str, Any] = {
            "name": each.name,
            "value": each.value,
            "gain": {"value": gain.value, "low": gain.low, "high": gain.high},
        }
        if len(places) < len(per_row):
            entry["rows"] = len(places)
        entries.append(entry | {"below": sign * (value - each.value) < 0})
    return entries


def describe_baselines(metric: str, result: Mapping[str, Any]) -> str:
    """One line: ``accuracy 0.912, baseline 0.534 (majority class)``; "" without baselines.

    Args:
        result: an evaluation, in the form of ``metrics.json``.
    """
    baselines, score = result.get("baselines"), result["metrics"].get(metric)
    if not baselines or not score:
        return ""
    listed = ", ".join(f"{format_number(each['value'])} ({each['name']})" for each in baselines)
    compared = {each["rows"] for each in baselines if each.get("rows")}
    some = f", on {max(compared):,} of the rows" if compared else ""
    return f"{metric.replace('_', ' ')} {format_number(score['value'])}, baseline {listed}{some}"


def baseline_warnings(
    metric: str, value: float, baselines: Sequence[Mapping[str, Any]]
) -> list[str]:
    """A warning for each baseline that scores better than the model."""
    warnings = []
    for each in baselines:
        if not each["below"]:
            continue
        gain = each["gain"]
        name = metric.replace("_", " ")
        message = f"The model's {name} of {format_number(value)} is worse than that of the"
        message += f" baseline {each['name']!r} ({format_number(each['value'])})"
        sure = gain["high"] < 0
        warnings.append(
            f"{message}: paired difference {gain['value']:+.4f}, 95% interval"
            f" [{gain['low']:+.4f}, {gain['high']:+.4f}]"
            + ("" if sure else ", which may be due to chance")
        )
    return warnings


def majority_class(counts: Mapping[str, int], labels: Sequence[str]) -> Baseline:
    """The most frequent class for every row, with the class frequencies as probabilities.

    For tasks that measure like ``core.metrics.classification``.

    Args:
        counts: training rows of each class.
        labels: classes in output order.
    """
    shares = np.array([counts.get(label, 0) for label in labels], np.float32)
    shares /= max(shares.sum(), 1)

    def measure(rows: Rows, measured: Measured) -> Measured:
        return {**measured, "probabilities": np.tile(shares, (len(rows), 1))}

    return Baseline("majority class", measure)
