"""SLIM: sparse non-negative linear weights (Ning and Karypis 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np

from aitk.recsys.losses.blocks import largest, map_blocks
from aitk.recsys.losses.ease import check_memory
from aitk.recsys.losses.products import gram_matrix
from aitk.recsys.losses.similarities import item_neighbours

SWEEPS = 100
#: Convergence threshold: maximum change of a weight in a sweep.
TOLERANCE = 1e-4
_BLOCK_CELLS = 16_000_000


#: Ridge penalties of a log of so many events or more, and of so many or fewer; in between they
#: follow the logarithm of the events ("Small logs" in bench/README.md).
LARGE_LOG, SMALL_LOG = (90_000, 50.0), (35_000, 200.0)


def usual_l2(events: int) -> float:
    """The ridge penalty that suits a log of so many events."""
    sizes, penalties = zip(SMALL_LOG, LARGE_LOG, strict=True)
    return float(np.exp(np.interp(np.log(max(1, events)), np.log(sizes), np.log(penalties))))


def slim(events: Any, *, l1: float, l2: float, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """The weights of SLIM among each item's most similar items (fsSLIM, section 4.3).

    For each item j they minimise |x_j - X w|^2 / 2 + l2 |w|^2 / 2 + l1 |w|_1 with w >= 0, by
    coordinate descent on X^T X (Friedman et al. 2010, section 2.2), many items at a time.

    Args:
        events: scipy CSR array (users, items) float32.
        l1: lasso penalty.
        l2: ridge penalty, above 0.
        neighbours: number of candidates, by cosine.

    Returns:
        Items (items, neighbours) int32 and weights (items, neighbours) float32, descending; both 0
        for items with fewer.

    Raises:
        TrainingError: memory is insufficient for X^T X.
    """
    check_memory(events.shape[1])
    candidates, likeness = item_neighbours(events, similarity="cosine", neighbours=neighbours)
    gram = gram_matrix(events)

    def work(block: slice) -> tuple[np.ndarray, np.ndarray]:
        weights = _descended(
            gram, candidates[block], likeness[block] > 0, np.arange(block.start, block.stop),
            l1=l1, l2=l2,
        )  # fmt: skip
        places, found = largest(weights, keep=weights.shape[1])
        numbers = np.take_along_axis(candidates[block], places, axis=1)
        return np.where(found > 0, numbers, 0), found

    size = max(1, _BLOCK_CELLS // candidates.shape[1] ** 2)
    numbers, weights = zip(*map_blocks(work, len(gram), size=size), strict=True)
    return np.concatenate(numbers), np.concatenate(weights)


def _descended(
    gram: np.ndarray,
    candidates: np.ndarray,
    allowed: np.ndarray,
    targets: np.ndarray,
    *,
    l1: float,
    l2: float,
) -> np.ndarray:
    """Weights (targets, candidates) of a block of items."""
    # The updated candidate comes first, so that each step reads contiguous memory.
    among = gram[candidates.T[:, :, None], candidates[None]]  # (candidates, targets, candidates)
    diagonal = gram[candidates, candidates].T  # (candidates, targets)
    left = gram[targets[:, None], candidates]  # residual as seen by each candidate
    weights = np.zeros_like(left)
    for _ in range(SWEEPS):
        before = weights.copy()
        for place in range(candidates.shape[1]):
            own = diagonal[place]
            wanted = (left[:, place] + own * weights[:, place] - l1) / (own + l2)
            wanted = np.where(allowed[:, place], np.maximum(wanted, 0), 0)
            moved = wanted - weights[:, place]
            if moved.any():
                left -= moved[:, None] * among[place]
                weights[:, place] = wanted
        if np.abs(weights - before).max(initial=0) < TOLERANCE:
            break
    return weights
