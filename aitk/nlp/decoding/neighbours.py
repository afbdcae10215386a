"""Search by cosine: exactly, block by block with NumPy, or in a graph of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK_ROWS = 16384
#: A graph proposes this many times the wanted rows, of which the exact cosines choose.
PROPOSED = 4


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(n, d) float32 rows of unit length; zero rows are unchanged."""
    vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)


def nearest(
    queries: np.ndarray, vectors: np.ndarray, *, count: int, exclude: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of ``vectors`` with the highest cosine to each query, best first.

    Args:
        queries: (q, d) of length 1.
        vectors: (n, d) of length 1; may be memory-mapped.
        count: how many, at most n.
        exclude: (q, e) rows excluded for each query; -1 for none.

    Returns:
        Row numbers (q, count) int64 and cosines (q, count) float32. Ties come in order of rows.
        An excluded row that is still needed to fill the list has the cosine -inf.
    """
    count = min(count, len(vectors))
    best = np.zeros((len(queries), 0), np.int64)
    cosines = np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = np.asarray(vectors[start : start + BLOCK_ROWS], np.float32)
        found = queries @ block.T
        if exclude is not None:
            query, column = np.nonzero((exclude >= start) & (exclude < start + len(block)))
            found[query, exclude[query, column] - start] = -np.inf
        here = (
            np.argsort(-found, axis=1, kind="stable")[:, :count]
            if len(block) <= count
            else (np.sort(np.argpartition(-found, count - 1, axis=1)[:, :count], axis=1))
        )
        cosines = np.concatenate([cosines, np.take_along_axis(found, here, 1)], axis=1)
        best = np.concatenate([best, here + start], axis=1)
        order = np.lexsort((best, -cosines), axis=1)[:, :count]
        cosines, best = np.take_along_axis(cosines, order, 1), np.take_along_axis(best, order, 1)
    return best, cosines


class NeighbourGraph:
    """Approximate search in a navigable graph (Malkov and Yashunin 2018), by usearch.

    Args:
        vectors: (n, d) of length 1.
    """

    def __init__(self, vectors: np.ndarray):
        from usearch.index import Index

        self._vectors = vectors
        self._graph: Any = Index(ndim=vectors.shape[1], metric="ip")
        # One thread: the graph depends on the order in which rows are added.
        self._graph.add(np.arange(len(vectors)), vectors, threads=1)

    def nearest(self, queries: np.ndarray, *, count: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``nearest``; a few of the rows may be missed."""
        count = min(count, len(self._vectors))
        wide = min(PROPOSED * count, len(self._vectors))
        self._graph.expansion_search = max(self._graph.expansion_search, wide)
        # A single query comes back without its axis.
        proposed = np.asarray(self._graph.search(queries, wide).keys, np.int64)
        proposed = np.sort(proposed.reshape(len(queries), wide), axis=1)
        cosines = np.einsum("qd,qpd->qp", queries, self._vectors[proposed])
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(proposed, order, 1), np.take_along_axis(cosines, order, 1)


def ranks(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The rank (from 1) of vector i for query i among all vectors, (n,) float64.

    Ties have the mean rank, so that identical vectors gain nothing.

    Args:
        queries, vectors: (n, d) of length 1.
    """
    found = np.zeros(len(queries))
    for start in range(0, len(queries), 1024):
        block = queries[start : start + 1024]
        similar = block @ vectors.T
        own = similar[np.arange(len(block)), start + np.arange(len(block))][:, None]
        above, equal = (similar > own).sum(1), (similar == own).sum(1)
        found[start : start + 1024] = 1 + above + (equal - 1) / 2
    return found


def analogy_targets(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
    """Completes first : second = third : ?, by 3CosAdd (Mikolov et al. 2013b).

    Args:
        first, second, third: (n, d) of length 1.
    """
    return unit_rows(second - first + third)
