"""Runs a model over rows in windows, returning outputs, predictions or measurements."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from aitk.core.contract.capabilities import Configurable, Generative
from aitk.core.contract.task import Assets, Batch, Example, Task
from aitk.core.runtime import interrupts
from aitk.core.training.batches import BATCHES_PER_WINDOW, Examples

if TYPE_CHECKING:
    from aitk.core.inference.predictors import Predictor
    from aitk.core.inference.text_scores import OpenScorer

Kept = TypeVar("Kept")


def configure(task: Task, assets: Assets, options: Any, *, open_scorer: OpenScorer | None) -> Any:
    """The assets for encoding, predicting and scoring rows with these predict options.

    Stages call it once, right after opening the assets.

    Args:
        options: an instance of ``task.predict_options``.
        open_scorer: see ``Configurable``.
    """
    if not isinstance(task, Configurable):
        return assets
    return task.configure(assets, options, open_scorer=open_scorer)


def infer(
    task: Task,
    batch: Batch,
    predict: Predictor,
    assets: Assets,
    *,
    top_k: int = 1,
    options: Any = None,
) -> Any:
    """The outputs for a batch, by ``Generative.infer`` if the task has it, else in one call."""
    if isinstance(task, Generative):
        return task.infer(batch, predict, assets, top_k=top_k, options=options)
    return predict(batch.inputs)


def default_window(task: Task) -> int:
    """The number of batches of rows held at once for prediction.

    Sorting gains nothing for rows of fixed length, and an image can be as large as a thousand
    texts.

    """
    return 1 if task.fixed_length else BATCHES_PER_WINDOW


def predict_rows(
    rows: Iterable[Mapping[str, Any]],
    task: Task,
    assets: Assets,
    predict: Predictor,
    *,
    batch_size: int,
    batches_per_window: int | None = None,
) -> Iterator[Any]:
    """Yield the model's output for each row, in order, holding one window of rows in memory.

    For several outputs, this is a dict of arrays. The model is called once per batch, even if the
    task is ``Generative``.

    Args:
        batches_per_window: batches held at once; by default ``default_window``.
    """

    def split(outputs: Any) -> Sequence[Any]:
        if not isinstance(outputs, Mapping):
            return outputs
        rows = len(next(iter(outputs.values())))
        return [{name: array[row] for name, array in outputs.items()} for row in range(rows)]

    def run(batch: Batch) -> Sequence[Any]:
        return split(predict(batch.inputs))

    return _in_order(_windows(rows, task, assets, run, batch_size, batches_per_window))


def decode_rows(
    rows: Iterable[Mapping[str, Any]],
    task: Task,
    assets: Assets,
    predict: Predictor,
    *,
    batch_size: int,
    top_k: int,
    options: Any = None,
) -> Iterator[dict[str, Any]]:
    """Yield the prediction for each row, in order; only one batch of outputs is held at a time.

    Args:
        options: an instance of ``task.predict_options``; None for the defaults.
    """

    def run(batch: Batch) -> list[dict[str, Any]]:
        outputs = infer(task, batch, predict, assets, top_k=top_k, options=options)
        return task.decode(batch, outputs, assets, top_k=top_k, options=options)

    return _in_order(_windows(rows, task, assets, run, batch_size))


def measure_rows(
    rows: Iterable[Mapping[str, Any]] | Examples,
    task: Task,
    assets: Assets,
    predict: Predictor,
    *,
    batch_size: int,
    options: Any = None,
) -> dict[str, np.ndarray]:
    """Predict every row and return the values for ``task.score``, in row order.

    Args:
        options: an instance of ``task.predict_options``; None for the defaults.
    """

    def run(batch: Batch) -> Mapping[str, np.ndarray]:
        outputs = infer(task, batch, predict, assets, options=options)
        return task.measure(batch, outputs, assets)

    return _gathered(_windows(rows, task, assets, run, batch_size))


def measure_and_decode_rows(
    rows: Iterable[Mapping[str, Any]],
    task: Task,
    assets: Assets,
    predict: Predictor,
    *,
    batch_size: int,
    options: Any = None,
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Predict every row once; return the values for ``task.score``, and the predictions."""
    decoded = "decoded predictions"  # no task uses this name

    def run(batch: Batch) -> Mapping[str, np.ndarray]:
        outputs = infer(task, batch, predict, assets, options=options)
        predictions = task.decode(batch, outputs, assets, options=options)
        column = np.fromiter(predictions, dtype=object, count=len(predictions))
        return {**task.measure(batch, outputs, assets), decoded: column}

    measured = _gathered(_windows(rows, task, assets, run, batch_size))
    return measured, list(measured.pop(decoded))


def _windows(
    rows: Iterable[Mapping[str, Any]] | Examples,
    task: Task,
    assets: Assets,
    run: Callable[[Batch], Kept],
    batch_size: int,
    batches_per_window: int | None = None,
) -> Iterator[tuple[list[Kept], np.ndarray]]:
    """For each window of rows: the result of ``run`` for each of its batches, and the index of
    every row in the window."""
    size = batch_size * (batches_per_window or default_window(task))
    for examples in _encoded(rows, task, assets, size):
        lengths = np.array([task.length(example) for example in examples])
        places = np.argsort(lengths, kind="stable")
        kept = []
        for start in range(0, len(places), batch_size):
            inside = [examples[place] for place in places[start : start + batch_size]]
            interrupts.check()
            kept.append(run(task.collate(inside, assets)))
        yield kept, places


def _encoded(
    rows: Iterable[Mapping[str, Any]] | Examples, task: Task, assets: Assets, size: int
) -> Iterator[list[Example]]:
    if isinstance(rows, Examples):
        for start in range(0, len(rows), size):
            yield rows[start : start + size]
        return
    iterator = iter(rows)
    while window := list(itertools.islice(iterator, size)):
        yield task.encode(window, assets)


def _in_order(windows: Iterable[tuple[list[Any], np.ndarray]]) -> Iterator[Any]:
    """Restore the order of rows within each window, which are sorted by length."""
    for kept, places in windows:
        window = list(itertools.chain.from_iterable(kept))
        for at in np.argsort(places).tolist():
            yield window[at]


def _gathered(
    windows: Iterable[tuple[list[Mapping[str, np.ndarray]], np.ndarray]],
) -> dict[str, np.ndarray]:
    """The measured columns of all rows, in row order."""
    parts: dict[str, list[np.ndarray]] = {}
    for kept, places in windows:
        order = np.argsort(places)
        for name in kept[0]:
            column = np.concatenate([part[name] for part in kept])
            parts.setdefault(name, []).append(column[order])
    return {name: np.concatenate(columns) for name, columns in parts.items()}
