"""Epochs of packed windows: rows are joined and cut to windows of one length as they are needed.

How many windows the rows give is known only after all are encoded, so it is estimated from some of
them. An epoch has as many steps as the estimate needs, each step as many windows as its share of
the rows gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.contract.capabilities import Packs
from aitk.core.contract.task import Assets, Example, Task
from aitk.core.training.batches import BATCHES_PER_WINDOW, Examples, epoch_rng

#: Rows from which the number of windows is estimated.
SAMPLED_ROWS = 256


def epoch_size(examples: Examples, task: Task, assets: Assets) -> int:
    """The number of examples of an epoch: rows, or the windows that they are about to give."""
    if not (isinstance(task, Packs) and task.packs(assets)) or not len(examples):
        return len(examples)
    places = np.unique(np.linspace(0, len(examples) - 1, SAMPLED_ROWS).round().astype(int))
    windows = task.pack(examples.take(places), assets, rng=np.random.default_rng(0))
    return math.ceil(len(examples) * len(windows) / len(places))


class PackedPlan(Sequence[list[Example]]):
    """The windows of each step of an epoch, in an order that seed and epoch decide.

    The rows are shuffled and divided into pools. The windows of a pool are shuffled and dealt to
    its steps, so that a step has windows of many rows, and no row is read before its pool is.

    Args:
        task: its ``pack`` makes the windows.
        steps: the number of steps of the epoch.
    """

    def __init__(
        self,
        examples: Examples,
        task: Packs[Any],
        assets: Assets,
        *,
        steps: int,
        seed: int,
        epoch: int,
    ):
        self._examples, self._task, self._assets = examples, task, assets
        self._seed, self._epoch = seed, epoch
        self._order = epoch_rng(seed, epoch).permutation(len(examples))
        pools = max(1, min(steps // BATCHES_PER_WINDOW, len(examples)))
        self._starts = np.linspace(0, steps, pools + 1).astype(int)
        self._rows = np.linspace(0, len(examples), pools + 1).astype(int)
        self._latest: tuple[int, list[list[Example]]] = (-1, [])
        self._sizes: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, step: Any) -> Any:
        if not 0 <= step < len(self):
            raise IndexError(step)
        number = self._number(step)
        if self._latest[0] != number:
            made = self._pool(number)
            self._latest, self._sizes[number] = (number, made), [len(part) for part in made]
        return self._latest[1][step - self._starts[number]]

    def size(self, step: int) -> int:
        """How many windows a step has, once its pool has been made."""
        number = self._number(step)
        return self._sizes[number][step - self._starts[number]]

    def _number(self, step: int) -> int:
        return int(np.searchsorted(self._starts, step, side="right")) - 1

    def _pool(self, number: int) -> list[list[Example]]:
        rng = np.random.default_rng([self._seed, self._epoch, number, 1])
        rows = self._order[self._rows[number] : self._rows[number + 1]]
        windows = self._task.pack(self._examples.take(rows), self._assets, rng=rng)
        steps = int(self._starts[number + 1] - self._starts[number])
        order = rng.permutation(len(windows))
        order = np.resize(order, max(len(order), steps))  # each step has at least one window
        return [[windows[at] for at in part] for part in np.array_split(order, steps)]
