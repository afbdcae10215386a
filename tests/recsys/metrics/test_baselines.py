"""Counts and damped means, on numbers small enough to check by eye; and the comparison."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.recsys.losses.averages import DAY_S, biases, popularity, recent_popularity
from aitk.recsys.metrics.baselines import average_ratings, baseline_of, mean_rating, popular_items
from aitk.recsys.tasks.rate import Rate
from aitk.recsys.tasks.recommend import Recommend


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


def held_out(user, items, targets, rating=5.0):
    ratings = np.full(len(items), rating, np.float32)
    asked = {"targets": targets, "target_ratings": [rating] * len(targets), "seen": []}
    return {"user": user, "items": items, "ratings": ratings} | asked


def test_the_most_popular_items_that_a_user_has_not_had_are_recommended(make_assets):
    task, assets = Recommend(), make_assets()
    rows = [held_out("ann", [0], [2]), held_out("bob", [2], [4])]
    popular = baseline_of("most popular", popular_items(assets.counts), task, assets)
    measured = popular.measure(rows, {})
    assert measured["numbers"][0, :3].tolist() == [2, 1, 4]  # item 0 was had
    assert task.score(measured, assets).metrics["hit_rate@1"].value == 0.5


def test_averages_draw_a_user_of_high_ratings_up(make_assets):
    task, assets = Rate(), make_assets(batches="ratings", rating_mean=3.0)
    averages = average_ratings(log([[0, 1], [1, 2]], 5, [1.0, 3.0, 3.0, 5.0]))
    inputs = task.collate(
        task.encode([held_out("ann", [1], [3]), held_out("ann", [1], [3], 1.0)], assets),
        assets,
    ).inputs
    # An item without ratings counts as the mean, and one rating of a user as one of eleven.
    assert averages(inputs)[:, 0] == pytest.approx([3 + 2 / 11, 3 - 2 / 11])
    assert mean_rating(3.0)(inputs).tolist() == [[3.0], [3.0]]
