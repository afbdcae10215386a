"""The record of a training: its epochs, the best one, and the result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.capabilities import Calibrates
from aitk.core.contract.task import Assets, Metric, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.inference.predictors import KerasPredictor
from aitk.core.training.batches import Examples

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        model: uncompiled, with the weights of the best epoch (the last one of ties).
        history: one dict per epoch: epoch, step, loss, learning_rate, validation metrics, the share
            of its time spent waiting for data, seconds.
        best: the history entry of the selected epoch.
        stopped: why it ended early, or None.
        measured: values of ``Task.measure`` for the validation rows at the best epoch; None without
            such rows, or if that epoch was before an interruption.
    """

    model: keras.Model
    history: list[dict[str, float]]
    best: dict[str, float]
    stopped: str | None
    measured: Mapping[str, np.ndarray] | None = None


@dataclass
class Progress:
    """The position of a training; part of the saved state."""

    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int | None = None
    best_weights: list[np.ndarray] | None = None
    loss_sum: float = 0.0
    rows: int = 0
    seconds: float = 0.0

    def last_is_best(self, metric: Metric) -> bool:
        """Whether no epoch so far was better than the last one.

        Ties go to the later epoch: with few rows, ties are common, and it has trained longer.
        """
        *earlier, last = self._scores(metric)
        return all(last >= score for score in earlier)

    def epochs_without_gain(self, metric: Metric) -> int:
        """Epochs since the score last improved; a tie is no improvement."""
        scores = self._scores(metric)
        return len(scores) - 1 - scores.index(max(scores))

    def _scores(self, metric: Metric) -> list[float]:
        """The score of each epoch, where higher is better."""
        sign = 1 if metric.higher_is_better else -1
        return [sign * row[metric.for_selection] for row in self.history]


def evaluate_closed_form(
    model: keras.Model,
    task: Task,
    assets: Assets,
    *,
    validation: Examples | None,
    batch_size: int,
    started: float | None = None,
) -> Trained:
    """The result of a training without steps: closed-form or unchanged weights.

    Args:
        started: start of the computation, from ``time.monotonic``; None if the weights are
            unchanged.
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
    assets: Assets,
    *,
    validation: Examples | None,
    batch_size: int,
) -> tuple[Trained, Any]:
    """Tune the decision thresholds of a ``Calibrates`` task on the validation rows.

    Returns:
        The training, with the best epoch's scores at the new thresholds, and the assets with these;
        both unchanged for other tasks, and without validation rows.
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


def point_scores(
    task: Task, measured: Mapping[str, np.ndarray], assets: Assets
) -> dict[str, float]:
    """The metrics of held-out rows, by name, without intervals."""
    return {name: score.value for name, score in task.score(measured, assets).metrics.items()}


def uncompiled(model: keras.Model) -> keras.Model:
    """A copy without the optimizer, which ``.keras`` files would otherwise include.

    Built from the configuration, so that subclasses with tied weights (masked LM) are preserved.
    """
    plain = type(model).from_config(model.get_config())
    plain.set_weights(model.get_weights())
    return plain
