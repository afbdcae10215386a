"""An ensemble of two classifiers: their log-probabilities are added, each with a weight.

A logarithmic opinion pool (Genest and Zidek 1986, "Combining Probability Distributions"): models
that err on different rows help each other, even where one is the weaker.
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
from aitk.core.contract.task import Batch, Example, Task
from aitk.core.inference.prediction import infer
from aitk.core.inference.predictors import Predictor
from aitk.core.metrics.classification import log_softmax

_SECOND = "second"


@dataclass(frozen=True)
class Pair:
    """One row as each of the two models reads it."""

    first: Example
    second: Example


class _Combined:
    """What the task of an ensemble does in another way than the task of its first run.

    ``combine`` makes a class of this one and the task's own, so that capabilities are found on it
    as on any task: protocols look for methods on classes, not in ``__getattr__``.

    Args:
        task: of both runs.
        second: assets of the second run.
        predict: its model.
        order: for each class of the first run, its number in the second.
        weight: of the second run's log-probabilities; the first's have 1.
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

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: Any) -> list[Pair]:
        """See ``Task``; each row is read twice."""
        own = self._task.encode(rows, assets)
        # No loss is computed of the second model: it need not know the labels.
        other = self._task.encode(rows, self._second)
        return [Pair(*both) for both in zip(own, other, strict=True)]

    def length(self, pair: Pair) -> int:
        """See ``Task``; by the first model."""
        return self._task.length(pair.first)

    def collate(self, pairs: Sequence[Pair], assets: Any) -> Batch:
        """See ``Task``; the context holds the second model's inputs."""
        own = self._task.collate([pair.first for pair in pairs], assets)
        other = self._task.collate([pair.second for pair in pairs], self._second)
        return Batch(own.inputs, own.targets, own.weights, {**own.context, _SECOND: other.inputs})

    def infer(self, batch: Batch, predict: Predictor, assets: Any, **how: Any) -> np.ndarray:
        """(rows, classes) logits of the two together."""
        own = infer(self._task, batch, predict, assets, **how)
        other = np.asarray(self._predict(batch.context[_SECOND]))[:, self._order]
        return log_softmax(np.asarray(own)) + self._weight * log_softmax(other)


def combine(task: Task, run: Run, assets: Any, second: Run | None, *, weight: float) -> Task:
    """The task of a run, whose outputs are those of the run and of a second one, if there is one.

    It takes the model and the assets of the first run.

    Raises:
        UsageError: the task's predictions are not classes.
        ArtifactError: the second run is damaged, or has other classes.
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
