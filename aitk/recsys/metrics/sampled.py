"""The place of one wanted item among sampled others: for figures that are compared with papers.

Such figures are no estimate of those over the whole catalogue, and can order models differently
(Krichene and Rendle 2020, section 4): a report that shows them says so, and ``aitk`` chooses no
model by them.
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
    """Rank each row's wanted item among items drawn uniformly from those that were not seen.

    Of equal scores the lower item number is better, as in ``top_items``; a NaN is the worst.

    Args:
        scores: (rows, items).
        target: (rows,) the wanted item.
        seen: numbers of the items that are not drawn, one array a row.
        negatives: how many different items are drawn; all there are where they are fewer.
        rng: draws them.

    Returns:
        (rows,) places from 1.
    """
    items = scores.shape[1]
    ranks = np.ones(len(scores), np.int64)
    for row, (own, wanted) in enumerate(zip(scores, target, strict=True)):
        taken = np.union1d(np.asarray(seen[row], np.int64), [wanted])
        left = items - len(taken)
        places = rng.choice(left, size=min(negatives, left), replace=False, shuffle=False)
        # The n-th item that is not taken: n, moved on by every taken one that lies before it.
        drawn = places + np.searchsorted(taken - np.arange(len(taken)), places, side="right")
        others, value = np.fmax(own[drawn], -np.inf), np.fmax(own[wanted], -np.inf)
        better = (others > value) | ((others == value) & (drawn < wanted))
        ranks[row] += np.count_nonzero(better)
    return ranks
