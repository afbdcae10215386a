"""Weighted sums of rows of a table as the product of a sparse matrix. NumPy and SciPy only."""

from __future__ import annotations

from typing import Any

import numpy as np


def sparse_rows(ids: np.ndarray, weights: np.ndarray, rows: int) -> Any:
    """(batch, rows): the weight of each id of a text; of an id that comes twice, the sum.

    Args:
        ids: (batch, length) int32 from 0 to ``rows`` (exclusive): SciPy does not check them.
        weights: (batch, length) float32.
    """
    from scipy.sparse import csr_array

    starts = np.arange(0, ids.size + 1, max(1, ids.shape[1]), dtype=np.int32)
    return csr_array((weights.ravel(), ids.ravel(), starts), shape=(len(ids), rows))
