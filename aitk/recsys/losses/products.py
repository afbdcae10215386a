"""X^T X of a sparse matrix, by the faster of two methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aitk.core.runtime import interrupts
from aitk.recsys.losses.blocks import map_blocks

#: Results up to this size are computed at once, with dense blocks for frequent items.
DENSE_BYTES = 512 << 20
#: Cost of a sparse multiplication relative to a dense one (measured on MovieLens-1M; lower on
#: processors without AVX-512).
SPARSE_COST = 150
_BLOCK_BYTES = 32 << 20

#: A function that returns rows of X^T X, dense or CSR, float32.
Products = Callable[[slice], Any]


def item_products(events: Any) -> Products:
    """Rows of X^T X (items, items), computed on demand.

    Args:
        events: scipy CSR array (users, items) float32.
    """
    items, events = events.shape[1], _narrow(events)
    turned = events.T.tocsr()  # (items, users)
    if items * items * 4 <= DENSE_BYTES:
        return _all_products(events, turned).__getitem__
    return lambda block: turned[block] @ events


def gram_matrix(events: Any, *, dtype: Any = np.float32) -> np.ndarray:
    """X^T X (items, items), dense, in one new array."""
    items = events.shape[1]
    products = item_products(events)
    gram = np.empty((items, items), dtype)

    def work(block: slice) -> None:
        rows = products(block)
        gram[block] = rows.toarray() if hasattr(rows, "toarray") else rows

    map_blocks(work, items, size=block_rows(items))
    return gram


def block_rows(items: int) -> int:
    """The number of rows of (items, items) processed at once."""
    return max(16, _BLOCK_BYTES // (8 * max(1, items)))


def _narrow(events: Any) -> Any:
    """The matrix with 32-bit indices, which are a quarter faster to read."""
    from scipy.sparse import csr_array

    if max(*events.shape, events.nnz) >= 1 << 31:
        return events
    places = events.indices.astype(np.int32, copy=False), events.indptr.astype(np.int32, copy=False)
    return csr_array((events.data, *places), shape=events.shape)


def _all_products(events: Any, turned: Any) -> np.ndarray:
    """Dense products between frequent items, sparse products for all others."""
    items = events.shape[1]
    order = np.argsort(-np.diff(turned.indptr), kind="stable")
    dense = _dense_items(events, turned[order])
    frequent, rare = order[:dense], order[dense:]
    products = np.empty((items, items), np.float32)

    def work(block: slice) -> None:
        products[rare[block]] = (turned[rare[block]] @ events).toarray()

    map_blocks(work, len(rare), size=block_rows(items))
    products[np.ix_(frequent, rare)] = products[np.ix_(rare, frequent)].T
    products[np.ix_(frequent, frequent)] = _dense_products(events[:, frequent])
    return products


def _dense_items(events: Any, turned: Any) -> int:
    """The number of items, most frequent first, for which dense products pay off."""
    lengths = np.diff(events.indptr).astype(float)
    work = np.array(turned.astype(bool) @ lengths)  # sparse multiplications per item
    left = np.concatenate([[0], np.cumsum(work[::-1])])[::-1]  # cost after so many dense items
    sizes = np.arange(len(left), dtype=float)
    return int(np.argmin(SPARSE_COST * left + events.shape[0] * sizes**2))


def _dense_products(events: Any) -> np.ndarray:
    users, items = events.shape
    size = max(256, _BLOCK_BYTES // (4 * max(1, items)))
    products = np.zeros((items, items), np.float32)
    for start in range(0, users, size):
        interrupts.check()
        block = events[start : start + size].toarray()
        products += block.T @ block
    return products
