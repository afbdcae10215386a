"""The best items of each row, against a plain sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aitk.recsys.decoding.top_items import top_items


def naive(scores, k, seen, allowed):
    """Sort the items of one row after the other; -1 fills up."""
    lists = []
    for row, hidden in zip(scores, seen, strict=True):
        left = [
            item
            for item in range(len(row))
            if item not in hidden and allowed[item] and row[item] > -np.inf
        ]
        best = sorted(left, key=lambda item: (-row[item], item))[:k]
        lists.append(best + [-1] * (k - len(best)))
    return np.array(lists).reshape(len(scores), k)


def test_best_first_without_what_was_seen():
    scores = np.array([[0.1, 0.9, 0.5, 0.7]], np.float32)
    numbers, values = top_items(scores, k=2, seen=[np.array([1])])
    assert numbers.tolist() == [[3, 2]]
    assert values.tolist() == [[np.float32(0.7), 0.5]]


def test_of_equal_scores_the_lower_number_is_better():
    numbers, _ = top_items(np.ones((2, 6), np.float32), k=3, seen=[np.array([0]), np.array([])])
    assert numbers.tolist() == [[1, 2, 3], [0, 1, 2]]


def test_missing_places_hold_no_item():
    scores = np.array([[np.nan, -np.inf, 2.0, np.inf]], np.float32)
    numbers, values = top_items(scores, k=5)
    assert numbers.tolist() == [[3, 2, -1, -1, -1]]
    assert values.tolist() == [[np.inf, 2.0, -np.inf, -np.inf, -np.inf]]


def test_only_allowed_items_are_picked():
    allowed = np.array([True, False, True])
    assert top_items(np.array([[1.0, 3, 2]]), k=2, allowed=allowed)[0].tolist() == [[2, 0]]


def test_the_scores_stay_as_they_were():
    scores = np.array([[1.0, 2, np.nan]], np.float32)
    before = scores.copy()
    top_items(scores, k=1, seen=[np.array([1])])
    np.testing.assert_array_equal(scores, before)


def test_rows_beyond_a_block_are_ranked_too():
    scores = np.random.default_rng(0).normal(size=(30, 100_000)).astype(np.float32)
    numbers, values = top_items(scores, k=4)
    np.testing.assert_array_equal(numbers, np.argsort(-scores, axis=1, kind="stable")[:, :4])
    np.testing.assert_array_equal(values, -np.sort(-scores, axis=1)[:, :4])


def test_no_rows_and_no_items_give_empty_lists():
    assert top_items(np.zeros((0, 5), np.float32), k=3, seen=[])[0].shape == (0, 3)
    assert top_items(np.zeros((2, 0), np.float32), k=1)[0].tolist() == [[-1], [-1]]


FEW = st.sampled_from([0.0, -0.0, 1.0, 2.0, np.nan, np.inf, -np.inf])


@given(st.data(), st.integers(1, 9))
def test_it_is_a_stable_sort(data, k):
    rows, items = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 12))
    elements = FEW if data.draw(st.booleans()) else st.floats(-1, 1, width=32)
    scores = data.draw(arrays(np.float32, (rows, items), elements=elements))
    seen = [
        np.array(data.draw(st.lists(st.integers(0, items - 1), unique=True)), np.int64)
        for _ in range(rows)
    ]
    allowed = data.draw(arrays(bool, items))
    numbers, values = top_items(scores, k=k, seen=seen, allowed=allowed)
    np.testing.assert_array_equal(numbers, naive(scores, k, seen, allowed))
    there = numbers >= 0
    np.testing.assert_array_equal(
        values[there], np.take_along_axis(scores, np.maximum(numbers, 0), 1)[there]
    )
