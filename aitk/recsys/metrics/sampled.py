"""Sampled ranking: the position of one target among sampled items, for comparison with papers.

Sampled metrics do not estimate those over the whole catalogue, and can order models differently
(Krichene and Rendle 2020, section 4): reports that show them say so, and ``aitk`` never uses them
for model selection.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def sampled_ranks(
    scores: np.ndarray,
    target: np.ndarray,
    seen: Sequence[np.ndarray],
    *,
    negatives: int = 100,
    rng: np.random.Generator,
) -> np.ndarray:
    """Rank each row's target among items drawn uniformly from the unseen ones.

    Ties go to the lower item number, as in ``top_items``; NaN ranks last.

    Args:
        scores: (rows, items).
        target: (rows,) the target item.
        seen: numbers of the items that are not drawn, one array per row.
        negatives: number of distinct items drawn; all if there are fewer.
        rng: the random generator.

    Returns:
        (rows,) positions from 1.
    """
    items = scores.shape[1]
    ranks = np.ones(len(scores), np.int64)
    for row, (own, wanted) in enumerate(zip(scores, target, strict=True)):
        taken = np.union1d(np.asarray(seen[row], np.int64), [wanted])
        left = items - len(taken)
        places = rng.choice(left, size=min(negatives, left), replace=False, shuffle=False)
        # The n-th unseen item: n, shifted by every seen item that precedes it.
        drawn = places + np.searchsorted(taken - np.arange(len(taken)), places, side="right")
        others, value = np.fmax(own[drawn], -np.inf), np.fmax(own[wanted], -np.inf)
        better = (others > value) | ((others == value) & (drawn < wanted))
        ranks[row] += np.count_nonzero(better)
    return ranks
