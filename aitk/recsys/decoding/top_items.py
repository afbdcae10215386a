"""The top items of each row of scores, exact and fast. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Placeholder where a row has no further item to recommend.
NO_ITEM = -1
_BLOCK_CELLS = 2_000_000  # scores copied at a time: 8 MB
_GROUP = 32  # maximum items per group
_GROUPS_PER_PLACE = 8  # minimum groups per list position, for a tight bound


def top_items(
    scores: np.ndarray,
    *,
    k: int,
    seen: Sequence[np.ndarray] | None = None,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Select the ``k`` items with the highest scores of each row, best first.

    Ties go to the lower item number. An item whose score is NaN or minus infinity is never
    selected.


    Args:
        scores: (rows, items) float32.
        k: number of items, at least 1.
        seen: numbers of the items excluded for each row, one array per row.
        allowed: (items,) bool, the items allowed for all rows; None allows all.

    Returns:
        Item numbers (rows, k) int32, -1 for unfilled positions, and scores (rows, k) float32, minus
        infinity there.
    """
    rows, items = scores.shape
    numbers = np.full((rows, k), NO_ITEM, np.int32)
    values = np.full((rows, k), -np.inf, np.float32)
    if not items:
        return numbers, values
    forbidden = None if allowed is None else np.flatnonzero(~np.asarray(allowed, bool))
    size = max(1, _BLOCK_CELLS // items)
    for start in range(0, rows, size):
        stop = min(start + size, rows)
        block = np.empty((stop - start, items), np.float32)
        np.fmax(scores[start:stop], -np.inf, out=block, casting="same_kind")  # NaN -> -inf
        if seen is not None:
            block[_cells(seen[start:stop])] = -np.inf
        if forbidden is not None:
            block[:, forbidden] = -np.inf
        row, place, number = _best(block, min(k, items))
        numbers[start + row, place] = number
        values[start + row, place] = block[row, number]
    return numbers, values


def _cells(numbers: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each item number."""
    lengths = [len(each) for each in numbers]
    rows = np.repeat(np.arange(len(lengths)), lengths)
    columns = np.concatenate([np.asarray(each, np.int64) for each in numbers])
    return rows, columns


def _best(block: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, list position and item of the up to ``k`` best items of each row.

    A selection over whole rows (``argpartition``) takes milliseconds if most scores are equal, as
    in neighbourhood models. A bound exceeded by few scores takes two passes.
    """
    items = block.shape[1]
    bound = _lower_bound(block, k)
    cells = np.flatnonzero(block > bound[:, None])
    rows, numbers = np.divmod(cells, items)
    missing = k - np.bincount(rows, minlength=len(block))
    # If fewer than k exceed the bound, it is the score of the last position: fill up with its
    # items.
    short = np.flatnonzero((missing > 0) & ~np.isneginf(bound))
    equal = [np.flatnonzero(block[row] == bound[row])[: missing[row]] for row in short]
    rows = np.concatenate([rows, np.repeat(short, [len(each) for each in equal])])
    numbers = np.concatenate([numbers, *equal])
    # A stable sort puts the lower number first among ties.
    order = np.lexsort((-block[rows, numbers], rows))
    rows, numbers = rows[order], numbers[order]
    starts = np.searchsorted(rows, np.arange(len(block)))
    places = np.arange(len(rows)) - starts[rows]
    kept = places < k
    return rows[kept], places[kept], numbers[kept]


def _lower_bound(block: np.ndarray, k: int) -> np.ndarray:
    """For each row, a score reached by at least ``k`` of its scores, and hardly more.

    It is the k-th highest of the maxima of disjoint groups of items.
    """
    rows, items = block.shape
    size = max(1, min(_GROUP, items // (_GROUPS_PER_PLACE * k)))
    groups = items // size
    # Groups hold every groups-th item, which spreads popular items with neighbouring numbers.
    maxima = block[:, : size * groups].reshape(rows, size, groups).max(axis=1)
    return np.partition(maxima, groups - k, axis=1)[:, groups - k]
