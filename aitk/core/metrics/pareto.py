"""What is worth choosing among models that cost and lose differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pareto_front(costs: np.ndarray) -> np.ndarray:
    """The places of the points that no other is at least as good as in everything, in their order.

    Args:
        costs: (points, objectives), less being better. Of equal points the first is taken.
    """
    front = []
    for at, own in enumerate(costs):
        others = np.delete(costs, at, axis=0)
        better = (others <= own).all(axis=1) & (others < own).any(axis=1)
        if not better.any() and not (costs[:at] == own).all(axis=1).any():
            front.append(at)
    return np.array(front, int)


def knee_point(costs: np.ndarray) -> int:
    """The place of the point nearest to the best of everything at once.

    Each objective runs from 0 to 1 over the points, and the distance is Euclidean: the compromise
    solution of Zeleny (1973, "Compromise Programming").

    Args:
        costs: (points, objectives) of a front, less being better.
    """
    lowest = costs.min(axis=0)
    room = costs.max(axis=0) - lowest
    scaled = (costs - lowest) / np.where(room > 0, room, 1)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))


def within(costs: np.ndarray, limits: Sequence[float | None]) -> np.ndarray:
    """(points,) bool: which points keep every limit; None is no limit."""
    bounds = np.array([np.inf if limit is None else limit for limit in limits])
    return np.all(costs <= bounds, axis=1)
