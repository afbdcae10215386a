"""How often an item occurs, in all or of late."""

from __future__ import annotations

from typing import Any

import numpy as np

DAY_S = 86_400


def popularity(events: Any) -> np.ndarray:
    """How many events each item has: (items,) float32."""
    return np.bincount(events.indices, minlength=events.shape[1]).astype(np.float32)


def recent_popularity(events: Any, times: np.ndarray, *, half_life_days: float) -> np.ndarray:
    """Events of each item, halved with every ``half_life_days`` before the newest event.

    Args:
        events: scipy CSR array (users, items).
        times: (events,) unix seconds in the order of ``events.data``.
        half_life_days: may be a fraction.

    Returns:
        (items,) float32.
    """
    ages = (np.max(times, initial=0) - np.asarray(times, np.float64)) / DAY_S
    counted = np.bincount(
        events.indices, weights=0.5 ** (ages / half_life_days), minlength=events.shape[1]
    )
    return counted.astype(np.float32)
