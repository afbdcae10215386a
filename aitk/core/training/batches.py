"""Batches of rows of similar length, in an order reproducible from a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Example, Task

#: Rows are sorted by length within windows of this many batches if lengths differ: large enough for
#: batches of equal lengths, small enough for a random order.
BATCHES_PER_WINDOW = 32
ROWS_AT_ONCE = 1024
#: Encoded examples are cached up to this size; beyond it they are encoded again in each epoch.
CACHE_BYTES = 2**30


class Examples(Sequence[Example]):
    """The encoded rows of a split, cached in memory if they fit."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        task: Task,
        assets: Any,
        *,
        reporter: Reporter,
        cache_bytes: int = CACHE_BYTES,
    ):
        self._rows, self._task, self._assets = rows, task, assets
        self.lengths = np.zeros(len(rows), np.int32)
        kept: list[Example] | None = []
        size = 0
        encoded = self._encoded_in_order()
        for index, example in enumerate(reporter.track(encoded, "encoding", total=len(rows))):
            self.lengths[index] = task.length(example)
            size += sum(array.nbytes for array in example.inputs.values())
            if kept is not None:
                kept.append(example)
                if size > cache_bytes:
                    kept = None
        self._kept = kept

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        return self.take([index])[0]

    def take(self, indices: Iterable[int]) -> list[Example]:
        """Several examples at once."""
        if self._kept is not None:
            return [self._kept[index] for index in indices]
        rows = take_rows(self._rows, indices)
        return self._task.encode(rows, self._assets)

    def _encoded_in_order(self) -> Iterator[Example]:
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            rows = take_rows(self._rows, range(start, min(start + ROWS_AT_ONCE, len(self._rows))))
            yield from self._task.encode(rows, self._assets)


def plan_epoch(
    lengths: np.ndarray, batch_size: int, *, rng: np.random.Generator
) -> list[np.ndarray]:
    """Shuffle rows into batches of similar length.

    Args:
        lengths: (rows,) lengths to sort by.
        batch_size: rows per batch; only one batch of the epoch may be smaller.

    Returns:
        One array of row numbers per batch, with every row once.
    """
    order = rng.permutation(len(lengths))
    window = batch_size * BATCHES_PER_WINDOW
    batches = []
    for start in range(0, len(order), window):
        inside = order[start : start + window]
        # A stable sort preserves the shuffled order among rows of equal length.
        inside = inside[np.argsort(lengths[inside], kind="stable")]
        batches += [inside[at : at + batch_size] for at in range(0, len(inside), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def epoch_rng(seed: int, epoch: int) -> np.random.Generator:
    """The generator of an epoch's order."""
    return np.random.default_rng([seed, epoch])


def step_rng(seed: int, epoch: int, step: int) -> np.random.Generator:
    """The generator of one batch's masking or augmentation, independent of previous batches."""
    return np.random.default_rng([seed, epoch, step])


def take_rows(rows: Sequence[Mapping[str, Any]], indices: Iterable[int]) -> list[Mapping[str, Any]]:
    """Rows by number, in one read if the sequence supports it."""
    take = getattr(rows, "take", None)
    return take(indices) if take else [rows[index] for index in indices]
