"""Beyond-accuracy metrics of lists: coverage, novelty, concentration, diversity.

Lists are (rows, places) item numbers, padded with -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: Diversity is a mean over users: beyond this number, only its third digit changes.
MOST_LISTS = 10_000
#: Number of user groups by activity, of about equal size.
GROUPS = 4
_BLOCK_ROWS = 1024


def catalogue_coverage(numbers: np.ndarray, items: int) -> float:
    """Share of the catalogue recommended to anyone (Ge et al. 2010, section 3.2).

    Args:
        numbers: lists, truncated to the length of interest.
        items: size of the catalogue.
    """
    return float(np.count_nonzero(_times_recommended(numbers, items)) / items)


def novelty(numbers: np.ndarray, popularity: np.ndarray, users: int) -> float:
    """Mean self-information of recommended items, in bits (Zhou et al. 2010).

    An item contributes -log2 of the share of users who have it; an item without users counts as
    having one. NaN without recommendations.

    Args:
        numbers: lists, truncated to the length of interest.
        popularity: (items,) number of training users of each item.
        users: number of training users.
    """
    times = _times_recommended(numbers, len(popularity))
    if not times.any():
        return float("nan")
    share = np.clip(popularity, 1, users) / users
    return float(times @ -np.log2(share) / times.sum())


def concentration(numbers: np.ndarray, items: int) -> float:
    """Gini coefficient of recommendation frequencies over the catalogue.

    0: all equally often; towards 1: always the same few. NaN without recommendations.
    """
    times = np.sort(_times_recommended(numbers, items))
    if not times.any():
        return float("nan")
    ranks = np.arange(1, items + 1)
    return float(((2 * ranks - items - 1) @ times) / (items * times.sum()))


def intra_list_diversity(numbers: np.ndarray, vectors: Any) -> float:
    """Mean over users of the mean 1 - cosine over all pairs of a list (Smyth and McClave 2001).

    Items without a vector are skipped, as are lists with fewer than two vectors. For more than
    ``MOST_LISTS`` users, a regular sample is used.

    Args:
        numbers: lists, truncated to the length of interest (usually 10).
        vectors: (items, d) a NumPy or SciPy sparse array: features, or the items' columns of the
            log (items, users).

    Returns:
        Between 0 (all equal) and 2; NaN if no list has two items with vectors.
    """
    step = -(-max(len(numbers), 1) // MOST_LISTS)
    numbers = numbers[::step]
    unit, known = _unit_rows(vectors)
    values = []
    for start in range(0, len(numbers), _BLOCK_ROWS):
        block = numbers[start : start + _BLOCK_ROWS]
        there = (block >= 0) & known[block]
        count = there.sum(axis=1)
        # |sum of v|^2 = sum of |v|^2 + 2 * sum over pairs of the cosine, and each |v| is 1.
        cosines = (_squared_sums(block, there, unit) - count) / 2
        pairs = count * (count - 1) / 2
        values.append(1 - cosines[pairs > 0] / pairs[pairs > 0])
    found = np.concatenate([*values, np.zeros(0)])
    return float(found.mean()) if len(found) else float("nan")


def activity_groups(
    history_lengths: np.ndarray, per_row: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """List quality for users with short and long histories, in quartiles of the users.

    Args:
        history_lengths: (rows,) items in each user's history.
        per_row: name of a metric -> (rows,) values.

    Returns:
        One line per group: ``from`` and ``to`` (history lengths), ``users``, and each metric's
        mean.
    """
    lengths = np.asarray(history_lengths)
    if not len(lengths):
        return []
    shares = np.arange(1, GROUPS) / GROUPS
    edges = np.unique(np.quantile(lengths, shares, method="lower"))
    group = np.searchsorted(edges, lengths, side="left")  # equal lengths share a group
    table = []
    for number in np.unique(group):
        inside = group == number
        table.append(
            {
                "from": int(lengths[inside].min()),
                "to": int(lengths[inside].max()),
                "users": int(inside.sum()),
            }
            | {name: float(values[inside].mean()) for name, values in per_row.items()}
        )
    return table


def _times_recommended(numbers: np.ndarray, items: int) -> np.ndarray:
    """(items,) number of lists with each item."""
    return np.bincount(numbers[numbers >= 0], minlength=items)


def _unit_rows(vectors: Any) -> tuple[Any, np.ndarray]:
    """Unit-length vectors, and which rows have one."""
    from scipy import sparse

    if sparse.issparse(vectors):
        vectors = sparse.csr_array(vectors, dtype=np.float32)
        norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        scale = 1 / np.where(norms > 0, norms, 1)
        return sparse.csr_array(sparse.diags_array(scale.astype(np.float32)) @ vectors), norms > 0
    norms = np.linalg.norm(vectors, axis=1)
    unit = (vectors / np.where(norms > 0, norms, 1)[:, None]).astype(np.float32)
    return unit, norms > 0


def _squared_sums(block: np.ndarray, there: np.ndarray, unit: Any) -> np.ndarray:
    """(rows,) squared norm of the sum of each list's vectors."""
    from scipy import sparse

    ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    members = sparse.csr_array(
        (np.ones(ends[-1], np.float32), block[there], ends), shape=(len(block), unit.shape[0])
    )
    sums = members @ unit  # (rows, d)
    if sparse.issparse(sums):
        return np.asarray(sums.multiply(sums).sum(axis=1, dtype=np.float64)).ravel()
    return np.einsum("rd,rd->r", sums, sums, dtype=np.float64)
