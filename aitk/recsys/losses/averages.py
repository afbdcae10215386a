"""Averages of a log: damped rating means, and item frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np


def biases(
    events: Any, *, user_shrinkage: float, item_shrinkage: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Damped means (Koren 2010, section 2.1): first of the items, then of the residuals per user.

    Args:
        events: scipy CSR array (users, items) float32 of ratings.
        user_shrinkage: added to the number of ratings of a user.
        item_shrinkage: added to the number of ratings of an item.

    Returns:
        The mean, users (users,) and items (items,) float32; 0 without ratings.
    """
    users = np.repeat(np.arange(events.shape[0]), np.diff(events.indptr))
    mean = float(np.mean(events.data, dtype=np.float64))
    item_biases = _damped(
        events.data - mean, events.indices, rows=events.shape[1], shrinkage=item_shrinkage
    )
    left = events.data - mean - item_biases[events.indices]
    user_biases = _damped(left, users, rows=events.shape[0], shrinkage=user_shrinkage)
    return mean, user_biases.astype(np.float32), item_biases.astype(np.float32)


def _damped(values: np.ndarray, rows_of: np.ndarray, *, rows: int, shrinkage: float) -> np.ndarray:
    sums = np.bincount(rows_of, weights=values, minlength=rows)
    counts = np.bincount(rows_of, minlength=rows)
    return sums / np.maximum(counts + shrinkage, 1e-12)


DAY_S = 86_400


def popularity(events: Any) -> np.ndarray:
    """The number of events of each item: (items,) float32."""
    return np.bincount(events.indices, minlength=events.shape[1]).astype(np.float32)


def recent_popularity(events: Any, times: np.ndarray, *, half_life_days: float) -> np.ndarray:
    """Events of each item, with weights halved per ``half_life_days`` before the newest event.

    Args:
        events: scipy CSR array (users, items).
        times: (events,) unix seconds in the order of ``events.data``.
        half_life_days: may be fractional.

    Returns:
        (items,) float32.
    """
    ages = (np.max(times, initial=0) - np.asarray(times, np.float64)) / DAY_S
    counted = np.bincount(
        events.indices, weights=0.5 ** (ages / half_life_days), minlength=events.shape[1]
    )
    return counted.astype(np.float32)
