"""Baselines of recommenders: the most popular items, and mean ratings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aitk.core.contract.capabilities import Measured, Rows
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.metrics.baselines import Baseline
from aitk.recsys.losses.averages import biases
from aitk.recsys.tasks.settings import AverageSettings

BATCH_SIZE = 64
#: Maps inputs by name to outputs.
Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def baseline_of(name: str, predict: Predict, task: Task, assets: Assets) -> Baseline:
    """A baseline on the inputs of models, batch by batch."""

    def measure(rows: Rows, measured: Measured) -> Measured:
        del measured
        return measure_rows(rows, task, assets, predict, batch_size=BATCH_SIZE)

    return Baseline(name, measure)


def popular_items(counts: np.ndarray) -> Predict:
    """The number of training events of each item (items,) as its score, for every user."""

    def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.tile(counts.astype(np.float32), (len(inputs["history"]), 1))

    return predict


def mean_rating(mean: float) -> Predict:
    """A constant rating."""
    return lambda inputs: np.full(inputs["targets"].shape, mean, np.float32)


def average_ratings(events: Any) -> Predict:
    """The predictions of the model ``average`` at its defaults: the mean and the biases.

    Args:
        events: scipy CSR array (users, items) of training ratings.
    """
    settings = AverageSettings()
    mean, _, items = biases(
        events, user_shrinkage=settings.user_shrinkage, item_shrinkage=settings.item_shrinkage
    )
    of_items = np.concatenate([[0.0], items])

    def predict(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        history = inputs["history"]
        known = history > 0
        left = np.where(known, inputs["history_weights"] - mean - of_items[history], 0.0)
        users = left.sum(axis=1) / np.maximum(known.sum(axis=1) + settings.user_shrinkage, 1e-12)
        return mean + users[:, None] + of_items[inputs["targets"]]

    return predict
