"""EASE: linear autoencoders in closed form (Steck 2019), optionally with item features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import TrainingError
from aitk.core.runtime.environment import GIB, machine
from aitk.recsys.losses.products import gram_matrix

#: Up to this many items, the inverse is computed in float64, which doubles the memory.
EXACT_ITEMS = 6000
_TILE = 1024


def ease(events: Any, *, l2: float) -> np.ndarray:
    """The weights of EASE (Steck 2019, section 3.1).

    B minimises |X - XB|^2 + l2 |B|^2 with a diagonal of zeros: with P the inverse of
    X^T X + l2 I, B_ij = -P_ij / P_jj. Scores are XB.

    Args:
        events: scipy CSR array (users, items) float32.
        l2: ridge penalty, above 0.

    Returns:
        (items, items) float32.

    Raises:
        TrainingError: memory is insufficient, or the penalty is too small for inverting the matrix.

    """
    check_memory(events.shape[1])
    return _solved(gram_matrix(events, dtype=_dtype(events.shape[1])), l2=l2)


def ease_with_features(events: Any, features: Any, *, weight: float, l2: float) -> np.ndarray:
    """The weights of CEASE (Jeunen et al. 2020, section 3.1): features act as further users.

    Args:
        events: scipy CSR array (users, items) float32.
        features: (items, size), dense or sparse; zero rows are missing values.
        weight: weight of a feature relative to an event.
        l2: ridge penalty, above 0.

    Returns:
        (items, items) float32, used like those of ``ease``.

    Raises:
        TrainingError: see ``ease``.
    """
    check_memory(events.shape[1])
    gram = gram_matrix(events, dtype=_dtype(events.shape[1]))
    for start in range(0, len(gram), _TILE):
        products = features[start : start + _TILE] @ features.T
        products = products.toarray() if hasattr(products, "toarray") else products
        gram[start : start + _TILE] += weight * products
    return _solved(gram, l2=l2)


def ease_bytes(items: int) -> int:
    """Peak memory of fitting, until the weights are in a model."""
    # In float64 and float32 at once during the computation, three times in float32 during the
    # transfer to the model.
    return 12 * items * items + (256 << 20)


def check_memory(items: int) -> None:
    """Raise an error if the matrix of all items does not fit into memory.

    Raises:
        TrainingError: memory is insufficient; the hint names alternatives.
    """
    available = machine(Path())["memory_available_gib"]
    needed = ease_bytes(items) / GIB
    if available is not None and needed > available:
        raise TrainingError(
            f"{items:,} items need {needed:.1f} GiB for their matrix, but {available:.1f} are free",
            hint="Use --model item-knn or als, or drop rare items in prepare",
        )


def _dtype(items: int) -> type:
    return np.float64 if items <= EXACT_ITEMS else np.float32


def _solved(gram: np.ndarray, *, l2: float) -> np.ndarray:
    """Convert the Gram matrix to the weights, in place."""
    gram[np.diag_indices_from(gram)] += l2
    inverse = _inverted(gram)
    inverse /= -inverse.diagonal().copy()
    np.fill_diagonal(inverse, 0)
    return inverse.astype(np.float32, copy=False)


def _inverted(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a symmetric positive definite matrix, in place."""
    from scipy.linalg import get_lapack_funcs

    factorise, invert = get_lapack_funcs(("potrf", "potri"), (matrix,))
    # LAPACK is column-major: it sees the transposed view as the matrix, without a copy.
    factor, failed = factorise(matrix.T, lower=1, clean=0, overwrite_a=1)
    if not failed:
        inverse, failed = invert(factor, lower=1, overwrite_c=1)
    if failed:
        raise TrainingError("the items' matrix cannot be inverted", hint="Raise --set l2")
    inverse = inverse.T  # its upper triangle is filled
    for start in range(0, len(inverse), _TILE):
        stop = start + _TILE
        corner = inverse[start:stop, start:stop]
        corner[...] = np.triu(corner) + np.triu(corner, 1).T
        inverse[stop:, start:stop] = inverse[start:stop, stop:].T
    return inverse
