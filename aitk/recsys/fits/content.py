"""How alike items are by their features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.recsys.fits.similarities import nearest


def content_neighbours(
    features: Mapping[str, Any], *, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """The most similar items of each item: the cosine of all their features side by side.

    Args:
        features: name -> (items, size), dense or sparse, rows of length 1; an all-zero row is a
            missing one, and like nothing.
        neighbours: how many to keep.

    Returns:
        Items (items, neighbours) int32 and cosines (items, neighbours) float32, as
        ``aitk.recsys.fits.similarities.item_neighbours``.

    Raises:
        UsageError: there are no features.
    """
    parts = list(named(features).values())
    squares = sum(_squares(part) for part in parts)

    def products(block: slice) -> np.ndarray:
        found = (part[block] @ part.T for part in parts)
        return sum(each.toarray() if hasattr(each, "toarray") else each for each in found)

    sizes = np.sqrt(squares).astype(np.float32)
    return nearest(products, sizes, similarity="cosine", neighbours=neighbours)


def side_by_side(features: Mapping[str, Any]) -> Any:
    """All features as one scipy CSR array (items, size) float32.

    Raises:
        UsageError: there are no features.
    """
    from scipy.sparse import csr_array, hstack

    parts = [csr_array(part, dtype=np.float32) for part in named(features).values()]
    return hstack(parts, format="csr")


def named(features: Mapping[str, Any]) -> Mapping[str, Any]:
    """The features, if there are any."""
    if not features:
        raise UsageError(
            "the items have no features to compare",
            where="--set features",
            hint="Give prepare a file of items with --items",
        )
    return features


def _squares(part: Any) -> np.ndarray:
    """The squared length of each row: (items,)."""
    if hasattr(part, "multiply"):
        return np.asarray(part.multiply(part).sum(axis=1), np.float64).ravel()
    return np.einsum("id,id->i", part, part, dtype=np.float64)
