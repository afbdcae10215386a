"""Settings that nobody gave, chosen on training events: what finds hidden ones best.

A small log calls for other settings than a large one: for more shrinkage, and for fewer factors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from aitk.recsys.fits.hidden import hide_one
from aitk.recsys.fits.log import TrainingLog

#: Of logs with more events the usual setting is taken: they need it least, and it would take long.
MOST_EVENTS = 300_000

Way = TypeVar("Way")


def choose(
    ways: Sequence[Way],
    log: TrainingLog,
    fit: Callable[[Way, Any], Callable[[Any], np.ndarray]],
) -> Way:
    """The way that finds one hidden event of each user best, by NDCG@10; of equals the first.

    Args:
        ways: the usual one first.
        fit: a way and events, CSR (users, items), -> from histories, CSR (batch, items), to scores
            (batch, items).
    """
    if log.events.nnz > MOST_EVENTS:
        return ways[0]
    hidden = hide_one(log.events, times=log.times, seed=log.seed)

    def quality(way: Way) -> float:
        score = fit(way, hidden.events)
        return float(hidden.ndcg(lambda histories: score(histories)[None])[0])

    return max(ways, key=quality)
