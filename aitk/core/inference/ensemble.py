"""Ensembles of two classifiers: weighted sums of their log-probabilities.

A logarithmic opinion pool (Genest and Zidek 1986, "Combining Probability Distributions"): models
that err on different rows improve each other, even if one is weaker.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.artifacts.opening import open_assets, open_model
from aitk.core.artifacts.run import Run
from aitk.core.contract.capabilities import Ensemblable
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.task import Assets, Batch, Example, Task
from aitk.core.inference.prediction import infer
from aitk.core.inference.predictors import Predictor
from aitk.core.metrics.classification import log_softmax

_SECOND = "second"


@dataclass(frozen=True)
class Pair:
    """One row, encoded for each of the two models."""

    first: Example
    second: Example


class _Combined:
    """The overrides of an ensemble relative to the task of its first run.

    ``combine`` derives a class from this one and the task's own, so that capabilities are found as
    on any task: protocols look up methods on classes, not in ``__getattr__``.

    Args:
        task: task of both runs.
        second: assets of the second run.
        predict: model of the second run.
        order: for each class of the first run, its number in the second.
        weight: weight of the second run's log-probabilities; the first's have weight 1.
    """

    def __init__(
        self,
        task: Task,
        second: Any,
        predict: Predictor,
        *,
        order: Sequence[int],
        weight: float,
    ):
        vars(self).update(vars(task))
        self._task, self._second, self._predict = task, second, predict
        self._order, self._weight = list(order), weight

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: Assets) -> list[Pair]:
        """See ``Task``; each row is encoded twice."""
        own = self._task.encode(rows, assets)
        # No loss is computed for the second model, so it needs no labels.
        other = self._task.encode(rows, self._second)
        return [Pair(*both) for both in zip(own, other, strict=True)]

    def length(self, pair: Pair) -> int:
        """See ``Task``; by the first model."""
        return self._task.length(pair.first)

    def collate(self, pairs: Sequence[Pair], assets: Assets) -> Batch:
        """See ``Task``; the context has the second model's inputs."""
        own = self._task.collate([pair.first for pair in pairs], assets)
        other = self._task.collate([pair.second for pair in pairs], self._second)
        return Batch(own.inputs, own.targets, own.weights, {**own.context, _SECOND: other.inputs})

    def infer(self, batch: Batch, predict: Predictor, assets: Assets, **how: Any) -> np.ndarray:
        """(rows, classes) combined logits."""
        own = infer(self._task, batch, predict, assets, **how)
        other = np.asarray(self._predict(batch.context[_SECOND]))[:, self._order]
        return log_softmax(np.asarray(own)) + self._weight * log_softmax(other)


def combine(task: Task, run: Run, assets: Assets, second: Run | None, *, weight: float) -> Task:
    """The task of a run, combined with a second run if there is one.

    It uses the model and assets of the first run.

    Raises:
        UsageError: the task's predictions are not classes.
        ArtifactError: the second run is damaged, or its classes differ.
    """
    if second is None:
        return task
    if not isinstance(task, Ensemblable):
        raise UsageError(
            f"predictions of {task.name} cannot be combined with a second run's",
            where="--ensemble-with",
        )
    source = str(second.folder)
    if second.task != run.task:
        raise ArtifactError(f"is a run of {second.task}, not of {run.task}", where=source)
    other = open_assets(task, second)
    own, found = list(task.class_labels(assets)), list(task.class_labels(other))
    if set(found) != set(own):
        raise ArtifactError(
            f"has other classes than {run.folder}",
            where=source,
            hint="Both must be trained on data with the same labels",
        )
    order = [found.index(label) for label in own]
    combination = types.new_class("Combination", (_Combined, type(task)))
    return combination(task, other, open_model(task, second, other), order=order, weight=weight)
