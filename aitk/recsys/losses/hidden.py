"""Selection of settings on training events alone: hide one event per user and predict it.

A small log needs other settings than a large one: more shrinkage, and fewer factors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from aitk.core.runtime import interrupts
from aitk.recsys.features.training_log import TrainingLog

#: Number of users that suffices to compare two settings.
MOST_USERS = 2000
CUTOFF = 10
_BLOCK = 256


@dataclass(frozen=True)
class Hidden:
    """A log without one event of each user with at least two.

    Attributes:
        events: scipy CSR array (users, items), the remaining events.
        users: (queries,) users with a hidden event.
        items: (queries,) the hidden item of each.
    """

    events: Any
    users: np.ndarray
    items: np.ndarray

    def ndcg(self, scores: Callable[[Any], np.ndarray]) -> np.ndarray:
        """NDCG@10 of the hidden items among those outside the user's history.

        Args:
            scores: histories, CSR (batch, items), -> scores (ways, batch, items).

        Returns:
            (ways,): the mean over the users, for each way of scoring.
        """
        gains: list[np.ndarray] = []
        for start in range(0, len(self.users), _BLOCK):
            interrupts.check()
            part = slice(start, start + _BLOCK)
            histories = self.events[self.users[part]]
            found = scores(histories)
            rows, columns = histories.nonzero()
            found[:, rows, columns] = -np.inf
            wanted = np.take_along_axis(found, self.items[None, part, None], axis=2)
            # Half of the ties rank first.
            before = (found > wanted).sum(axis=2) + ((found == wanted).sum(axis=2) - 1) / 2
            gains.append(np.where(before < CUTOFF, 1 / np.log2(before + 2), 0.0))
        return np.concatenate(gains, axis=1).mean(axis=1) if gains else np.zeros(1)


def hide_one(events: Any, *, times: np.ndarray | None = None, seed: int = 0) -> Hidden:
    """Hide each user's latest event, or a random one if ``times`` are unknown.

    Args:
        events: scipy CSR array (users, items) float32.
        times: (events,) in the order of ``events.data``.
        seed: seed for drawing events and users.
    """
    from scipy.sparse import csr_array

    rng = np.random.default_rng(seed)
    lengths = np.diff(events.indptr)
    users = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((rng.random(events.nnz) if times is None else times, users))
    last = order[events.indptr[1:][lengths > 1] - 1]
    kept = np.ones(events.nnz, bool)
    kept[last] = False
    starts = np.concatenate([[0], np.cumsum(np.bincount(users[kept], minlength=len(lengths)))])
    left = csr_array((events.data[kept], events.indices[kept], starts), shape=events.shape)
    asked = rng.permutation(last)[:MOST_USERS]
    return Hidden(left, users[asked], events.indices[asked])


#: For logs with more events, the usual setting is used: tuning gains least and takes long.
MOST_EVENTS = 300_000

Way = TypeVar("Way")


def choose(
    ways: Sequence[Way],
    log: TrainingLog,
    fit: Callable[[Way, Any], Callable[[Any], np.ndarray]],
) -> Way:
    """Select the candidate with the best NDCG@10 on hidden events; ties go to the first.

    Args:
        ways: candidates, the usual one first.
        fit: candidate and events, CSR (users, items), -> function from histories, CSR (batch,
            items), to scores (batch, items).
    """
    if log.events.nnz > MOST_EVENTS:
        return ways[0]
    hidden = hide_one(log.events, times=log.times, seed=log.seed)

    def quality(way: Way) -> float:
        score = fit(way, hidden.events)
        return float(hidden.ndcg(lambda histories: score(histories)[None])[0])

    return max(ways, key=quality)
