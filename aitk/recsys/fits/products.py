"""X^T X of a sparse matrix, in whichever way is faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aitk.recsys.fits.blocks import map_blocks

#: A dense result up to this size is made at once by matrix products of dense blocks.
DENSE_BYTES = 512 << 20
#: One multiplication of a sparse product costs as much as this many of a dense one (measured on
#: MovieLens-1M, two cores: 1.6 ns against 2.5 ps; less where the processor has no AVX-512).
SPARSE_COST = 250
_BLOCK_BYTES = 32 << 20

#: Rows of X^T X, dense or CSR, float32.
Products = Callable[[slice], Any]


def item_products(events: Any) -> Products:
    """Rows of X^T X (items, items), computed when asked for.

    Args:
        events: scipy CSR array (users, items) float32.
    """
    items = events.shape[1]
    if items * items * 4 <= DENSE_BYTES and _dense_is_faster(events):
        return _dense_products(events).__getitem__
    turned = events.T.tocsr()  # (items, users)
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
    """How many rows of (items, items) are worked on at once."""
    return max(16, _BLOCK_BYTES // (8 * max(1, items)))


def _dense_is_faster(events: Any) -> bool:
    lengths = np.diff(events.indptr).astype(float)
    return events.shape[0] * events.shape[1] ** 2 <= SPARSE_COST * float(lengths @ lengths)


def _dense_products(events: Any) -> np.ndarray:
    users, items = events.shape
    size = max(256, _BLOCK_BYTES // (4 * max(1, items)))
    products = np.zeros((items, items), np.float32)
    for start in range(0, users, size):
        block = events[start : start + size].toarray()
        products += block.T @ block
    return products
