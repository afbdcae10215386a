"""Two classifiers that answer as one: their log-probabilities are added, each with a weight.

A logarithmic opinion pool (Genest and Zidek 1986, "Combining Probability Distributions"): models
that err on different rows help each other, even where one is the weaker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.artifacts.opening import open_assets, open_model
from aitk.core.artifacts.run import Run
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.task import Batch, Example, Task
from aitk.core.metrics.classification import log_softmax

_SECOND = "second"


@dataclass(frozen=True)
class Pair:
    """One row as each of the two models reads it."""

    first: Example
    second: Example


class Combination:
    """A classifier's task, whose outputs are those of its own model and of a second run.

    Wherever nothing else is said here it is the task itself, with the assets of the first run.

    Args:
        second: assets of the second run.
        predict: its model.
        order: for each class of the first run, its number in the second.
        weight: of the second run's log-probabilities; the first's have 1.
    """

    def __init__(
        self,
        task: Task,
        second: Any,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        *,
        order: Sequence[int],
        weight: float,
    ):
        self._task, self._second, self._predict = task, second, predict
        self._order, self._weight = list(order), weight

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: Any) -> list[Pair]:
        """See ``Task``; each row is read twice."""
        own = self._task.encode_many(rows, assets)
        # The second model is not asked for a loss: it need not know the labels.
        other = self._task.encode_many(rows, self._second)
        return [Pair(*both) for both in zip(own, other, strict=True)]

    def length(self, pair: Pair) -> int:
        """See ``Task``; by the first model."""
        return self._task.length(pair.first)

    def collate(self, pairs: Sequence[Pair], assets: Any) -> Batch:
        """See ``Task``; the second model's batch stands in the context."""
        own = self._task.collate([pair.first for pair in pairs], assets)
        other = self._task.collate([pair.second for pair in pairs], self._second)
        return Batch(own.inputs, own.targets, own.weights, {**own.context, _SECOND: other.inputs})

    def infer(self, batch: Batch, predict: Any, assets: Any, **asked: Any) -> np.ndarray:
        """(rows, classes) logits of the two together."""
        own = self._task.infer(batch, predict, assets, **asked)
        other = np.asarray(self._predict(batch.context[_SECOND]))[:, self._order]
        return log_softmax(np.asarray(own)) + self._weight * log_softmax(other)


def combine(task: Task, run: Run, assets: Any, second: Run | None, *, weight: float) -> Any:
    """The task of a run, which answers together with a second run if there is one.

    Raises:
        UsageError: the task's answers are no classes.
        ArtifactError: the second run is damaged, or knows other classes.
    """
    if second is None:
        return task
    if not task.combines:
        raise UsageError(
            f"answers of {task.name} are not joined with a second run's", where="--also"
        )
    source = str(second.folder)
    if second.task != run.task:
        raise ArtifactError(f"is a run of {second.task}, not of {run.task}", where=source)
    other: Any = open_assets(task, second)
    if set(other.labels) != set(assets.labels):
        raise ArtifactError(
            f"knows other classes than {run.folder}",
            where=source,
            hint="Both must be trained on data with the same labels",
        )
    order = [other.labels.index(label) for label in assets.labels]
    return Combination(task, other, open_model(task, second, other), order=order, weight=weight)
