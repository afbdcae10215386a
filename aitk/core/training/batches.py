"""From rows to batches of near-equal length, in an order that a seed repeats."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Batch, Example, Task
from aitk.core.runtime import interrupts

#: Rows are sorted by length inside windows of this many batches, where lengths differ: long enough
#: that a batch holds rows of one length, short enough that the order stays random.
BATCHES_PER_WINDOW = 32
ROWS_AT_ONCE = 1024
#: Encoded examples are kept in memory up to this size, and encoded anew each epoch beyond it.
CACHE_BYTES = 2**30

Kept = TypeVar("Kept")
Predict = Callable[[Mapping[str, np.ndarray]], Any]


class Examples(Sequence[Example]):
    """The encoded rows of a split, kept in memory while they fit."""

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
        return self._task.encode_many(rows, self._assets)

    def _encoded_in_order(self) -> Iterator[Example]:
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            rows = take_rows(self._rows, range(start, min(start + ROWS_AT_ONCE, len(self._rows))))
            yield from self._task.encode_many(rows, self._assets)


def plan_epoch(
    lengths: np.ndarray, batch_size: int, *, rng: np.random.Generator
) -> list[np.ndarray]:
    """Shuffle rows into batches of near-equal length.

    Args:
        lengths: (rows,) what to bucket by.
        batch_size: rows a batch; only one batch of the epoch may be smaller.

    Returns:
        One array of row numbers a batch, every row once.
    """
    order = rng.permutation(len(lengths))
    window = batch_size * BATCHES_PER_WINDOW
    batches = []
    for start in range(0, len(order), window):
        inside = order[start : start + window]
        # A stable sort keeps the shuffled order among rows of one length.
        inside = inside[np.argsort(lengths[inside], kind="stable")]
        batches += [inside[at : at + batch_size] for at in range(0, len(inside), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def usual_window(task: Task) -> int:
    """How many batches of rows are held at once to predict them.

    Pictures, of which none is longer than another, can each be as large as a thousand texts.
    """
    return 1 if task.one_length else BATCHES_PER_WINDOW


def epoch_rng(seed: int, epoch: int) -> np.random.Generator:
    """The generator of an epoch's order."""
    return np.random.default_rng([seed, epoch])


def step_rng(seed: int, epoch: int, step: int) -> np.random.Generator:
    """The generator of one batch's masking or augmentation, whatever came before it."""
    return np.random.default_rng([seed, epoch, step])


def predict_rows(
    rows: Iterable[Mapping[str, Any]],
    task: Task,
    assets: Any,
    predict: Predict,
    *,
    batch_size: int,
    batches_per_window: int | None = None,
) -> Iterator[Any]:
    """Yield the model's output of each row, in order, holding one window of rows in memory.

    Of a model with several outputs a dict of arrays.

    Args:
        batches_per_window: how many are held at once; by default what suits the task.
    """

    def outputs_of(batch: Batch, outputs: Any) -> Sequence[Any]:
        del batch
        if not isinstance(outputs, Mapping):
            return outputs
        rows = len(next(iter(outputs.values())))
        return [{name: array[row] for name, array in outputs.items()} for row in range(rows)]

    def infer(batch: Batch) -> Any:
        return predict(batch.inputs)

    return _in_order(
        _predicted(rows, task, assets, infer, outputs_of, batch_size, batches_per_window)
    )


def answer_rows(
    rows: Iterable[Mapping[str, Any]],
    task: Task,
    assets: Any,
    predict: Predict,
    *,
    batch_size: int,
    top_k: int,
    asked: Any = None,
) -> Iterator[dict[str, Any]]:
    """Yield the answer to each row, in order; of the outputs only a batch is held at a time."""
    assets = task.answering_assets(assets, asked)

    def infer(batch: Batch) -> Any:
        return task.infer(batch, predict, assets, top_k=top_k, asked=asked)

    def answers_of(batch: Batch, outputs: Any) -> list[dict[str, Any]]:
        return task.decode(batch, outputs, assets, top_k=top_k, asked=asked)

    return _in_order(_predicted(rows, task, assets, infer, answers_of, batch_size))


def measure_rows(
    rows: Iterable[Mapping[str, Any]] | Examples,
    task: Task,
    assets: Any,
    predict: Predict,
    *,
    batch_size: int,
    asked: Any = None,
) -> dict[str, np.ndarray]:
    """Predict every row and keep what ``task.score`` needs, in the order of the rows.

    Args:
        asked: the task's options of its answers; None where nobody asked.
    """
    assets = task.answering_assets(assets, asked)
    parts: dict[str, list[np.ndarray]] = {}

    def infer(batch: Batch) -> Any:
        return task.infer(batch, predict, assets, asked=asked)

    def measured(batch: Batch, outputs: Any) -> dict[str, np.ndarray]:
        return task.measure(batch, outputs, assets)

    for kept, places in _predicted(rows, task, assets, infer, measured, batch_size):
        order = np.argsort(places)
        for name in kept[0]:
            column = np.concatenate([part[name] for part in kept])
            parts.setdefault(name, []).append(column[order])
    return {name: np.concatenate(columns) for name, columns in parts.items()}


def _in_order(windows: Iterable[tuple[list[Any], np.ndarray]]) -> Iterator[Any]:
    """Rows of a window come out by length: put them back in their order."""
    for kept, places in windows:
        window = dict(zip(places, itertools.chain.from_iterable(kept), strict=True))
        for place in range(len(window)):
            yield window[place]


def _predicted(
    rows: Iterable[Mapping[str, Any]] | Examples,
    task: Task,
    assets: Any,
    infer: Callable[[Batch], Any],
    keep: Callable[[Batch, Any], Kept],
    batch_size: int,
    batches_per_window: int | None = None,
) -> Iterator[tuple[list[Kept], np.ndarray]]:
    """For each window of rows: what to keep of each of its batches, and every row's place."""
    batches = batches_per_window or usual_window(task)
    for examples in _windows(rows, task, assets, batch_size * batches):
        lengths = np.array([task.length(example) for example in examples])
        places = np.argsort(lengths, kind="stable")
        kept = []
        for start in range(0, len(places), batch_size):
            inside = [examples[place] for place in places[start : start + batch_size]]
            interrupts.check()
            batch = task.collate(inside, assets)
            kept.append(keep(batch, infer(batch)))
        yield kept, places


def _windows(
    rows: Iterable[Mapping[str, Any]] | Examples, task: Task, assets: Any, size: int
) -> Iterator[list[Example]]:
    if isinstance(rows, Examples):
        for start in range(0, len(rows), size):
            yield rows[start : start + size]
        return
    iterator = iter(rows)
    while window := list(itertools.islice(iterator, size)):
        yield task.encode_many(window, assets)


def take_rows(rows: Sequence[Mapping[str, Any]], indices: Iterable[int]) -> list[Mapping[str, Any]]:
    """Rows by number, in one read where the sequence can do that."""
    take = getattr(rows, "take", None)
    return take(indices) if take else [rows[index] for index in indices]
