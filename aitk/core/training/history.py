"""The record of a training: its epochs, which of them is best, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.capabilities import Calibrates
from aitk.core.contract.task import Metric, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.inference.predictors import KerasPredictor
from aitk.core.training.batches import Examples

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Trained:
    """What a training left behind.

    Attributes:
        model: uncompiled, holding the weights of the best epoch, the last of equals.
        history: one dict an epoch: epoch, step, loss, learning_rate, validation metrics, the share
            of its time spent waiting for data, seconds.
        best: the row of the epoch whose weights were kept.
        stopped: why it ended before its last epoch, or None.
        measured: what ``Task.measure`` kept of the validation rows at the best epoch; None without
            such rows, and where that epoch was before an interruption.
    """

    model: keras.Model
    history: list[dict[str, float]]
    best: dict[str, float]
    stopped: str | None
    measured: Mapping[str, np.ndarray] | None = None


@dataclass
class Progress:
    """Where a training stands; all of it is in the saved state."""

    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    best_weights: list[np.ndarray] | None = None
    loss_sum: float = 0.0
    rows: int = 0
    seconds: float = 0.0

    def last_is_best(self, metric: Metric) -> bool:
        """Whether no epoch so far had a better score than the last one.

        Of equals it is the later one: on few rows scores tie soon, and it has learned more.
        """
        *earlier, last = self._scores(metric)
        return all(last >= score for score in earlier)

    def epochs_without_gain(self, metric: Metric) -> int:
        """Epochs since the score last rose; one that only equals the best is no gain."""
        scores = self._scores(metric)
        return len(scores) - 1 - scores.index(max(scores))

    def _scores(self, metric: Metric) -> list[float]:
        """The score of each epoch, of which more is better."""
        sign = 1 if metric.higher_is_better else -1
        return [sign * row[metric.for_selection] for row in self.history]


def evaluate_closed_form(
    model: keras.Model,
    task: Task,
    assets: Any,
    *,
    validation: Examples | None,
    batch_size: int,
    started: float | None = None,
) -> Trained:
    """The result of a training without steps: the weights were computed in closed form, or kept.

    Args:
        started: when the computation of the weights began, by ``time.monotonic``; None if they
            are kept.
    """
    started = time.monotonic() if started is None else started
    row: dict[str, float] = {"epoch": 1, "step": 1}
    measured = None
    if validation is not None:
        predict = KerasPredictor(model)
        measured = measure_rows(validation, task, assets, predict, batch_size=batch_size)
        row |= point_scores(task, measured, assets)
    row["seconds"] = round(time.monotonic() - started, 2)
    return Trained(model=model, history=[row], best=row, stopped=None, measured=measured)


def calibrate(
    trained: Trained,
    task: Task,
    assets: Any,
    *,
    validation: Examples | None,
    batch_size: int,
) -> tuple[Trained, Any]:
    """Tune the decision thresholds of a task that ``Calibrates`` on the validation rows.

    Returns:
        The training, the scores of its best epoch being those with the new thresholds, and the
        assets with these; both as they were for other tasks, and without validation rows.
    """
    if validation is None or not isinstance(task, Calibrates):
        return trained, assets
    measured = trained.measured
    if measured is None:  # the best epoch was before an interruption
        predict = KerasPredictor(trained.model)
        measured = measure_rows(validation, task, assets, predict, batch_size=batch_size)
    assets = task.calibrate(measured, assets)
    best = trained.best | point_scores(task, measured, assets)
    return dataclasses.replace(trained, best=best, measured=measured), assets


def point_scores(task: Task, measured: Mapping[str, np.ndarray], assets: Any) -> dict[str, float]:
    """The metrics of held-out rows, by name, without intervals."""
    return {name: score.value for name, score in task.score(measured, assets).metrics.items()}
