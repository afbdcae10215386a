"""Blockwise parallel work over rows, and the largest values of each row.

NumPy and SciPy release the GIL while they compute, so threads suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from multiprocessing.pool import ThreadPool
from typing import Any, TypeVar

import numpy as np

from aitk.core.runtime import interrupts
from aitk.core.runtime.environment import usable_cpus

Result = TypeVar("Result")


def map_blocks(work: Callable[[slice], Result], rows: int, *, size: int) -> list[Result]:
    """Call ``work`` for each block of at most ``size`` rows; return its results in order.

    Raises:
        Interrupted: between two blocks, if a signal requested a stop.
    """
    from threadpoolctl import threadpool_limits

    blocks = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    if len(blocks) < 2 or usable_cpus() == 1:
        return _collected(map(work, blocks))
    # Nested threads contend with each other: ALS took three times as long.
    with threadpool_limits(1, user_api="blas"), ThreadPool(usable_cpus()) as pool:
        return _collected(pool.imap(work, blocks))


def _collected(results: Iterable[Result]) -> list[Result]:
    collected = []
    for result in results:
        collected.append(result)
        interrupts.check()
    return collected


_BITS = 32
_LOW = (1 << _BITS) - 1
_BLOCK_CELLS = 1_000_000


def largest(values: Any, *, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``keep`` largest positive values of each row, by descending value, then column.

    Args:
        values: (rows, columns) float32, dense or scipy CSR.

    Returns:
        Columns (rows, keep) int32 and values (rows, keep) float32; both 0 for rows with fewer.
    """
    keys = _sparse_keys(values) if hasattr(values, "indptr") else _dense_keys(values)
    width = keys.shape[1]
    if width > keep:
        keys = np.partition(keys, width - keep, axis=1)[:, width - keep :]
    keys = np.sort(keys, axis=1)[:, ::-1]
    found = (keys >> _BITS).astype(np.int32).view(np.float32)  # (rows, at most keep)
    columns = np.where(keys > 0, _LOW - (keys & _LOW), 0).astype(np.int32)
    missing = ((0, 0), (0, keep - found.shape[1]))
    return np.pad(columns, missing), np.pad(found, missing)


def largest_weights(weights: np.ndarray, *, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``keep`` weights of largest magnitude in each column, with signs.

    Args:
        weights: (items, items): contribution of an item (row) to another (column).

    Returns:
        For each column the rows (items, keep) int32 and their weights (items, keep) float32.
    """

    def work(block: slice) -> tuple[np.ndarray, np.ndarray]:
        columns = np.ascontiguousarray(weights[:, block].T, np.float32)
        numbers, _ = largest(np.abs(columns), keep=keep)
        return numbers, np.take_along_axis(columns, numbers, axis=1)

    items = weights.shape[1]
    parts = map_blocks(work, items, size=max(16, _BLOCK_CELLS // max(1, len(weights))))
    numbers, found = (np.concatenate(part) for part in zip(*parts, strict=True))
    # A column with fewer weights than ``keep`` is padded with row 0.
    found[(numbers == 0) & (np.cumsum(numbers == 0, axis=1) > 1)] = 0
    return numbers, found


def _dense_keys(values: np.ndarray) -> np.ndarray:
    return _keys(np.ascontiguousarray(values, np.float32), np.arange(values.shape[1]))


def _sparse_keys(values: Any) -> np.ndarray:
    """The stored values of each row, padded: (rows, most values of a row)."""
    counts = np.diff(values.indptr)
    keys = np.zeros((len(counts), int(counts.max(initial=0))), np.int64)
    rows = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(values.indices)) - values.indptr[rows]
    keys[rows, place] = _keys(values.data, values.indices)
    return keys


def _keys(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Pack value and column into one integer: positive floats sort like their bits."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(values > 0, (bits << _BITS) | (_LOW - columns.astype(np.int64)), 0)
