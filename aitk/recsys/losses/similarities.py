"""Similarity of items or users, by shared events or by item features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.recsys.losses.blocks import largest, map_blocks
from aitk.recsys.losses.products import Products, block_rows, item_products

_TINY = np.float32(1e-12)


def item_neighbours(
    events: Any, *, similarity: str, neighbours: int, shrinkage: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The most similar items of each item (Sarwar et al. 2001, section 3).

    ``cosine`` compares the items' columns; ``adjusted-cosine`` subtracts each user's mean first
    (section 3.1.3); ``jaccard`` is the share of the users of either that have both. Only positive
    similarities count, an item is not its own neighbour, and ties go to the lower number.


    Args:
        events: scipy CSR array (users, items) float32.
        similarity: ``cosine``, ``adjusted-cosine`` or ``jaccard``.
        neighbours: neighbours per item.
        shrinkage: added to the denominator.

    Returns:
        Items (items, neighbours) int32 and similarities (items, neighbours) float32, descending;
        both 0 for items with fewer.

    Raises:
        UsageError: ``adjusted-cosine`` on events that do not differ from their user's mean.
    """
    prepared = prepared_events(events, similarity)
    check_ratings(prepared, similarity)
    return nearest(
        item_products(prepared),
        sizes_of_rows(prepared.T.tocsr(), similarity),
        similarity=similarity,
        neighbours=neighbours,
        shrinkage=shrinkage,
    )


def nearest(
    products: Products,
    sizes: np.ndarray,
    *,
    similarity: str,
    neighbours: int,
    shrinkage: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The most similar items by their products and sizes (items,); see ``item_neighbours``."""
    items = len(sizes)

    def work(block: slice) -> tuple[np.ndarray, np.ndarray]:
        rows = products(block)
        if hasattr(rows, "indptr"):
            own = np.repeat(np.arange(block.start, block.stop), np.diff(rows.indptr))
            others = sizes[rows.indices]
            rows.data = similarities(
                rows.data, sizes[own], others, similarity=similarity, shrinkage=shrinkage
            )
            rows.data[rows.indices == own] = 0
        else:
            rows = similarities(
                rows, sizes[block, None], sizes, similarity=similarity, shrinkage=shrinkage
            )
            own = np.arange(block.start, block.stop)
            rows[own - block.start, own] = 0
        return largest(rows, keep=min(neighbours, max(1, items - 1)))

    # Small blocks stay in the processor's cache between division and sorting.
    parts = map_blocks(work, items, size=max(16, block_rows(items) // 16))
    numbers, weights = zip(*parts, strict=True)
    return np.concatenate(numbers), np.concatenate(weights)


def prepared_events(events: Any, similarity: str) -> Any:
    """The values multiplied by a similarity, in a new CSR array without duplicates.

    ``adjusted-cosine`` subtracts each user's mean, for item and user similarities alike; for users
    this is Pearson's correlation with the means of all ratings (Desrosiers and Karypis 2011,
    section 4.2.1).
    """
    prepared = events.copy()
    if similarity == "adjusted-cosine":
        means = row_means(events).astype(np.float32)
        prepared.data = prepared.data - np.repeat(means, np.diff(events.indptr))
    prepared.sum_duplicates()
    if similarity == "jaccard":
        prepared.data = np.ones_like(prepared.data)
    return prepared


def check_ratings(prepared: Any, similarity: str) -> None:
    """Refuse to compare ratings that are all equal.

    Raises:
        UsageError: ``adjusted-cosine`` on events that do not differ from their user's mean.
    """
    if similarity == "adjusted-cosine" and not np.any(np.abs(prepared.data) > 1e-5):
        raise UsageError(
            "adjusted-cosine compares ratings, but no user's ratings differ",
            where="--set similarity",
            hint="Use cosine or jaccard",
        )


def row_means(matrix: Any) -> np.ndarray:
    """The mean of each row's stored values (rows,) float64, 0 for an empty row."""
    counts = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    sums = np.bincount(rows, weights=matrix.data, minlength=len(counts))
    return sums / np.maximum(counts, 1)


def sizes_of_rows(prepared: Any, similarity: str) -> np.ndarray:
    """The denominator of each row: its norm, or its number of events."""
    counts = np.diff(prepared.indptr)
    if similarity == "jaccard":
        return counts.astype(np.float32)
    rows = np.repeat(np.arange(len(counts)), counts)
    squares = np.square(prepared.data, dtype=np.float64)
    return np.sqrt(np.bincount(rows, weights=squares, minlength=len(counts))).astype(np.float32)


def similarities(
    products: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    *,
    similarity: str,
    shrinkage: float,
) -> np.ndarray:
    """Similarities from products and sizes of equal or broadcastable shapes."""
    denominator = left + right - products if similarity == "jaccard" else left * right
    denominator += np.float32(shrinkage)
    return products / np.maximum(denominator, _TINY, out=denominator)


def content_neighbours(
    features: Mapping[str, Any], *, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """The most similar items of each item: the cosine of all features concatenated.

    Args:
        features: name -> (items, size), dense or sparse, rows of unit length; zero rows are missing
            values, similar to nothing.
        neighbours: neighbours per item.

    Returns:
        Items (items, neighbours) int32 and cosines (items, neighbours) float32, as in
        ``item_neighbours``.

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
    """The features; raises an error if there are none."""
    if not features:
        raise UsageError(
            "the items have no features to compare",
            where="--set features",
            hint="Prepare the data with a file of items (--items)",
        )
    return features


def _squares(part: Any) -> np.ndarray:
    """The squared norm of each row: (items,)."""
    if hasattr(part, "multiply"):
        return np.asarray(part.multiply(part).sum(axis=1), np.float64).ravel()
    return np.einsum("id,id->i", part, part, dtype=np.float64)
