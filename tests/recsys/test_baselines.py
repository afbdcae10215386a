"""Counts and damped means, on numbers small enough to check by eye."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.recsys.fits.biases import biases
from aitk.recsys.fits.popularity import DAY_S, popularity, recent_popularity


def log(rows, items, values=None):
    lengths = [len(row) for row in rows]
    numbers = np.concatenate(rows).astype(np.int32)
    values = np.ones(len(numbers)) if values is None else np.array(values)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return csr_array((values.astype(np.float32), numbers, starts), shape=(len(rows), items))


def test_popularity_counts_events():
    assert popularity(log([[0, 1], [1]], 3)).tolist() == [1, 2, 0]


def test_an_event_counts_half_after_the_half_life():
    times = np.array([10, 9, 8]) * DAY_S
    counted = recent_popularity(log([[0, 1], [1]], 3), times, half_life_days=1.0)
    assert counted.tolist() == [1, 0.75, 0]


def test_biases_are_drawn_to_zero():
    # Mean 3; item 0 has 5 and 3, item 1 has 1.
    events = log([[0], [0, 1]], 2, [5, 3, 1])
    mean, users, items = biases(events, user_shrinkage=1.0, item_shrinkage=2.0)
    assert mean == 3
    assert items == pytest.approx([2 / 4, -2 / 3])
    assert users == pytest.approx([1.5 / 2, (-0.5 - 2 + 2 / 3) / 3])


def test_without_shrinkage_an_unknown_item_has_no_bias():
    _, users, items = biases(log([[0], []], 2, [4]), user_shrinkage=0.0, item_shrinkage=0.0)
    assert [*users, *items] == [0, 0, 0, 0]
