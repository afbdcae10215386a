"""Ranking metrics, against worked examples and loops that follow their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aitk.core.contract.errors import DataError
from aitk.recsys.metrics.ranking import CUTOFFS, find_hits, rank_metrics, rank_scores


def naive(hits, targets, k):
    """One row at a time, place by place."""
    found, dcg, precisions, reciprocal = 0, 0.0, 0.0, 0.0
    for place, hit in enumerate(hits[:k], 1):
        if hit:
            found += 1
            dcg += 1 / math.log2(place + 1)
            precisions += found / place
            reciprocal = reciprocal or 1 / place
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, targets) + 1))
    return {
        "ndcg": dcg / ideal,
        "recall": found / targets,
        "precision": found / k,
        "hit_rate": float(found > 0),
        "map": precisions / min(k, targets),
        "mrr": reciprocal,
    }


def test_a_list_worked_by_hand():
    # Hits at places 2 and 4; three items were to be found.
    hits = np.array([[0, 1, 0, 1, 0]], bool)
    found = rank_metrics(hits, np.array([3]), cutoffs=[5])
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@5"][0] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert found["recall@5"][0] == pytest.approx(2 / 3)
    assert found["precision@5"][0] == pytest.approx(2 / 5)
    assert found["hit_rate@5"][0] == 1
    assert found["map@5"][0] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert found["mrr@5"][0] == 1 / 2


def test_more_targets_than_places_can_still_be_perfect():
    found = rank_metrics(np.ones((1, 2), bool), np.array([5]), cutoffs=[2])
    assert found["ndcg@2"][0] == found["map@2"][0] == found["precision@2"][0] == 1
    assert found["recall@2"][0] == 2 / 5


def test_a_list_shorter_than_the_cutoff_finds_no_more():
    found = rank_metrics(np.array([[False, True]]), np.array([1]), cutoffs=[10])
    assert found["recall@10"][0] == 1
    assert found["precision@10"][0] == pytest.approx(0.1)


@given(st.data())
def test_metrics_follow_their_definitions(data):
    rows, places = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 30))
    hits = data.draw(arrays(bool, (rows, places)))
    more = data.draw(arrays(np.int64, rows, elements=st.integers(0, 30)))
    targets = np.maximum(hits.sum(axis=1) + more, 1)
    found = rank_metrics(hits, targets)
    for row in range(rows):
        for k in CUTOFFS:
            for name, value in naive(hits[row], targets[row], k).items():
                assert found[f"{name}@{k}"][row] == pytest.approx(value, abs=1e-12)


def test_ndcg_agrees_with_scikit_learn():
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    relevant = rng.random((20, 50)) < 0.1
    relevant[:, 0] = True
    order = rng.permuted(np.tile(np.arange(50), (20, 1)), axis=1)
    hits = np.take_along_axis(relevant, order, 1)
    scores = np.empty(order.shape)
    np.put_along_axis(scores, order, np.arange(50.0)[::-1] * np.ones((20, 1)), 1)
    found = rank_metrics(hits, relevant.sum(axis=1), cutoffs=[10])["ndcg@10"]
    assert found.mean() == pytest.approx(ndcg_score(relevant, scores, k=10))


def test_the_main_metric_comes_first():
    names = list(rank_scores(np.ones((1, 100), bool), np.array([100])).metrics)
    assert names[:2] == ["ndcg@10", "recall@10"]
    assert len(names) == 30


def test_rows_without_targets_are_left_out_and_counted():
    hits = np.array([[True], [False], [False]])
    scored = rank_scores(hits, np.array([1, 0, 1]), cutoffs=[1])
    assert scored.left_out == 1
    assert scored.metrics["recall@1"].value == 1 / 2
    assert scored.per_row.tolist() == [1, 0, 0]


def test_nothing_to_find_is_an_error():
    with pytest.raises(DataError, match="no user has a held-out item"):
        rank_scores(np.zeros((2, 5), bool), np.array([0, 0]))


def test_intervals_hold_the_value_and_narrow_with_more_users():
    rng = np.random.default_rng(0)
    widths = []
    for rows in (50, 2000):
        hits = rng.random((rows, 10)) < 0.1
        scores = rank_scores(hits, hits.sum(axis=1) + 1, cutoffs=[10], resamples=300, seed=1)
        score = scores.metrics["ndcg@10"]
        assert score.low < score.value < score.high
        widths.append(score.high - score.low)
    assert widths[1] < widths[0] / 4


def test_the_interval_of_recall_is_near_the_normal_one():
    hits = np.random.default_rng(0).random((1000, 1)) < 0.3
    score = rank_scores(hits, np.ones(1000, int), cutoffs=[1], resamples=2000).metrics["recall@1"]
    half = 1.96 * hits.std() / math.sqrt(1000)
    assert score.low == pytest.approx(score.value - half, abs=0.003)
    assert score.high == pytest.approx(score.value + half, abs=0.003)


def test_hits_are_places_whose_item_is_wanted():
    numbers = np.array([[4, 2, 0], [1, -1, -1], [3, 0, 1]])
    hits, counts = find_hits(numbers, [np.array([2, 9, 2]), np.array([0]), np.array([])])
    assert hits.tolist() == [[False, True, False], [False] * 3, [False] * 3]
    assert counts.tolist() == [2, 1, 0]


@given(st.data())
def test_hits_agree_with_sets(data):
    lists = st.lists(st.integers(0, 9), min_size=4, max_size=4, unique=True)
    numbers = data.draw(st.lists(lists, min_size=1, max_size=5))
    targets = [data.draw(st.lists(st.integers(0, 12))) for _ in numbers]
    hits, counts = find_hits(np.array(numbers), [np.array(each) for each in targets])
    expected = [[item in each for item in row] for row, each in zip(numbers, targets, strict=True)]
    assert hits.tolist() == expected
    assert counts.tolist() == [len(set(each)) for each in targets]
