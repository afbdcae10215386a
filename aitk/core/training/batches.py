"""Batches of rows of similar length, in an order reproducible from a seed."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.task import Assets, Example, Task

#: Rows are sorted by length within windows of this many batches if lengths differ: large enough for
#: batches of equal lengths, small enough for a random order.
BATCHES_PER_WINDOW = 32
#: Windows of large batches hold this many rows: what one of them costs, the first step waits for.
ROWS_PER_WINDOW = 8192
ROWS_AT_ONCE = 4096
#: Encoded examples are cached up to this size; beyond it they are encoded again in each epoch.
CACHE_BYTES = 2**30
#: Beyond it those of the latest window are kept, up to this size.
WINDOW_BYTES = 2**27
#: What an example takes in memory besides its arrays.
EXAMPLE_BYTES = 512


class Examples(Sequence[Example]):
    """The encoded rows of a split: encoded when they are first needed, kept while they fit."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        task: Task,
        assets: Assets,
        *,
        cache_bytes: int = CACHE_BYTES,
    ):
        self._rows, self._task, self._assets = rows, task, assets
        self._lengths = np.full(len(rows), -1, np.int32)
        self._kept: dict[int, Example] = {}
        self._window: dict[int, Example] = {}
        self._room = cache_bytes

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.take([index % len(self)])[0]

    def take(self, indices: Iterable[int]) -> list[Example]:
        """Several examples at once."""
        indices = [int(index) for index in indices]
        found = [self._kept.get(index) or self._window.get(index) for index in indices]
        missing = [index for index, each in zip(indices, found, strict=True) if each is None]
        if missing:
            encoded = self._encode(missing)
            found = [encoded.get(index) or each for index, each in zip(indices, found, strict=True)]
        return found  # type: ignore[return-value]

    def lengths_of(self, indices: np.ndarray) -> np.ndarray:
        """What ``Task.length`` says of these rows, (rows,); an example is encoded once for it."""
        unknown = indices[self._lengths[indices] < 0].tolist()
        if unknown:
            self._window, room = {}, WINDOW_BYTES
            for start in range(0, len(unknown), ROWS_AT_ONCE):
                encoded = self._encode(unknown[start : start + ROWS_AT_ONCE])
                if room > 0:
                    self._window |= encoded
                    room -= sum(map(_bytes_of, encoded.values()))
        return self._lengths[indices]

    def _encode(self, indices: Sequence[int]) -> dict[int, Example]:
        examples = self._task.encode(take_rows(self._rows, indices), self._assets)
        found = dict(zip(indices, examples, strict=True))
        for index, example in found.items():
            self._lengths[index] = self._task.length(example)
        if self._room > 0:
            self._kept |= found
            self._room -= sum(map(_bytes_of, found.values()))
        return found


class EpochPlan(Sequence[np.ndarray]):
    """The rows of each batch of an epoch, in an order that seed and epoch decide.

    Rows are shuffled, and those of a window of batches sorted by length, so that a batch holds rows
    of near-equal length. A window is looked at when its first batch is: no row is read before.

    Args:
        batch_size: rows a batch; only one batch of the epoch is smaller, if any.
        sort: whether lengths differ; else batches are in the order of the shuffle.
    """

    def __init__(
        self, examples: Examples, batch_size: int, *, seed: int, epoch: int, sort: bool = True
    ):
        self._examples, self._batch_size, self._sort = examples, batch_size, sort
        self._seed, self._epoch = seed, epoch
        self._order = epoch_rng(seed, epoch).permutation(len(examples))
        self.batches_per_window = 1
        if sort:
            most = max(1, ROWS_PER_WINDOW // batch_size)
            self.batches_per_window = min(BATCHES_PER_WINDOW, most)
        self._latest: tuple[int, list[np.ndarray]] = (-1, [])

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, step: Any) -> Any:
        number, place = divmod(step, self.batches_per_window)
        if self._latest[0] != number:
            self._latest = (number, self._window(number))
        return self._latest[1][place]

    def size(self, step: int) -> int:
        """How many rows a batch has, without looking at them."""
        number, place = divmod(step, self.batches_per_window)
        batch = self._places(number)[place]
        first = (number * self.batches_per_window + batch) * self._batch_size
        return min(self._batch_size, len(self._order) - int(first))

    def _window(self, number: int) -> list[np.ndarray]:
        rows = self.batches_per_window * self._batch_size
        inside = self._order[number * rows : (number + 1) * rows]
        if self._sort:
            # A stable sort keeps the shuffled order among rows of one length.
            inside = inside[np.argsort(self._examples.lengths_of(inside), kind="stable")]
        starts = self._places(number) * self._batch_size
        return [inside[start : start + self._batch_size] for start in starts]

    def _places(self, number: int) -> np.ndarray:
        """Which batch of the sorted window comes at each place of it."""
        left = len(self) - number * self.batches_per_window
        rng = np.random.default_rng([self._seed, self._epoch, number, 0])
        return rng.permutation(min(self.batches_per_window, left))


def epoch_rng(seed: int, epoch: int) -> np.random.Generator:
    """The generator of an epoch's order."""
    return np.random.default_rng([seed, epoch])


def step_rng(seed: int, epoch: int, step: int) -> np.random.Generator:
    """The generator of one batch's masking or augmentation, independent of previous batches."""
    return np.random.default_rng([seed, epoch, step])


class DerivedRows(Sequence[Mapping[str, Any]]):
    """Rows made from others when they are read."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        return self.take([index])[0]

    @abstractmethod
    def take(self, indices: Iterable[int]) -> list[Mapping[str, Any]]:
        """Several rows at once."""


class RepeatedRows(DerivedRows):
    """Rows by their places, which may repeat some."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], places: np.ndarray):
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    def take(self, indices: Iterable[int]) -> list[Mapping[str, Any]]:
        """Several rows at once."""
        return take_rows(self._rows, [int(self._places[index]) for index in indices])


class JoinedRows(DerivedRows):
    """Rows, followed by others."""

    def __init__(self, first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]):
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def take(self, indices: Iterable[int]) -> list[Mapping[str, Any]]:
        """Several rows at once."""
        indices = [int(index) for index in indices]
        count = len(self._first)
        found = iter(take_rows(self._first, [index for index in indices if index < count]))
        return [next(found) if index < count else self._second[index - count] for index in indices]


class ChangedRows(DerivedRows):
    """Rows changed by a value of their own each, when they are read.

    Args:
        values: one for each row.
        change: of the fields of a row and its value.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        values: Sequence[Any],
        change: Callable[[Mapping[str, Any], Any], Mapping[str, Any]],
    ):
        self._rows, self._values, self._change = rows, values, change

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: Iterable[int]) -> list[Mapping[str, Any]]:
        """Several rows at once."""
        indices = [int(index) for index in indices]
        rows = take_rows(self._rows, indices)
        return [
            self._change(row, self._values[index]) for row, index in zip(rows, indices, strict=True)
        ]


def take_rows(rows: Sequence[Mapping[str, Any]], indices: Iterable[int]) -> list[Mapping[str, Any]]:
    """Rows by number, in one read if the sequence supports it."""
    take = getattr(rows, "take", None)
    return take(indices) if take else [rows[index] for index in indices]


def _bytes_of(example: Example) -> int:
    return EXAMPLE_BYTES + sum(array.nbytes for array in example.inputs.values())


def drawn(rows: Any, most: int) -> Sequence[Mapping[str, Any]]:
    """At most so many rows, drawn at random but always the same, in their order."""
    if len(rows) <= most:
        return rows
    return _Picked(rows, np.sort(np.random.default_rng(0).permutation(len(rows))[:most]))


class _Picked(Sequence[Mapping[str, Any]]):
    """Some rows of a sequence, read when they are asked for."""

    def __init__(self, rows: Any, places: np.ndarray):
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        places = self._places[index]
        return self._rows.take(places) if isinstance(index, slice) else self._rows[int(places)]
