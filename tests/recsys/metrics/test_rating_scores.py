"""RMSE and MAE, and the rank among sampled items."""

import math

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.recsys.metrics.rating_scores import rating_errors, rating_scores
from aitk.recsys.metrics.sampled import sampled_ranks


def test_each_rating_counts_once():
    # Errors: 1 and -1 of the first user, 3 of the second; the unused slot does not count.
    predicted = np.array([[5.0, 1.0], [4.0, 99.0]])
    ratings = np.array([[4.0, 2.0], [1.0, 0.0]])
    measured = rating_errors(predicted, ratings, np.array([[True, True], [True, False]]))
    scores, per_row = rating_scores(measured)
    assert scores["rmse"].value == pytest.approx(math.sqrt((1 + 1 + 9) / 3))
    assert scores["mae"].value == pytest.approx((1 + 1 + 3) / 3)
    assert per_row.tolist() == [1, 3]


@pytest.mark.parametrize("seed", range(5))
def test_they_agree_with_scikit_learn(seed):
    from sklearn.metrics import mean_absolute_error, root_mean_squared_error

    rng = np.random.default_rng(seed)
    predicted, ratings = rng.normal(size=(2, 6, 4))
    used = rng.random((6, 4)) < 0.6
    used[0, 0] = True
    scores, _ = rating_scores(rating_errors(predicted, ratings, used))
    expected = ratings[used], predicted[used]
    assert scores["rmse"].value == pytest.approx(root_mean_squared_error(*expected))
    assert scores["mae"].value == pytest.approx(mean_absolute_error(*expected))


def test_the_interval_of_mae_is_near_the_normal_one():
    errors = np.random.default_rng(0).normal(size=(3000, 1))
    measured = rating_errors(errors, np.zeros_like(errors), np.ones_like(errors, bool))
    scores, _ = rating_scores(measured, resamples=1000, seed=1)
    half = 1.96 * np.abs(errors).std() / math.sqrt(3000)
    assert scores["mae"].low == pytest.approx(scores["mae"].value - half, abs=0.004)
    assert scores["mae"].high == pytest.approx(scores["mae"].value + half, abs=0.004)
    assert scores["rmse"].low < scores["rmse"].value < scores["rmse"].high


def test_samples_without_a_rating_are_left_out():
    measured = rating_errors(
        np.ones((3, 1)), np.zeros((3, 1)), np.array([[True], [False], [False]])
    )
    scores, per_row = rating_scores(measured, resamples=100)
    assert (scores["rmse"].value, scores["rmse"].low) == (1, None)  # too few rows
    assert per_row.tolist() == [1, 0, 0]


def test_no_rating_is_an_error():
    with pytest.raises(DataError, match="no ratings to predict"):
        rating_scores(rating_errors(np.ones((2, 1)), np.ones((2, 1)), np.zeros((2, 1), bool)))


def test_among_all_items_the_sampled_rank_is_the_rank():
    scores = np.array([[0.1, 0.9, 0.5, 0.7, np.nan], [1.0, 1.0, 1.0, 1.0, 1.0]])
    rng = np.random.default_rng(0)
    ranks = sampled_ranks(scores, np.array([2, 3]), [np.array([1]), np.array([0])], rng=rng)
    # Row 0: only item 3 is better, as 1 is seen. Row 1: the equal items 1 and 2 come before 3.
    assert ranks.tolist() == [2, 3]


def test_a_target_without_a_score_is_last():
    ranks = sampled_ranks(
        np.array([[0.0, 1.0, np.nan]]), np.array([2]), [[]], rng=np.random.default_rng(0)
    )
    assert ranks.tolist() == [3]


def test_every_unseen_item_is_drawn_equally_often_and_no_other():
    # Item i beats the target alone: the rank says whether it was drawn.
    seen, wanted, negatives = np.array([1, 4, 5]), 2, 3
    drawn = np.zeros(8)
    for item in range(8):
        scores = np.zeros((200, 8))
        scores[:, wanted] = 1
        scores[:, item] += 2 * (item != wanted)
        rng = np.random.default_rng(0)
        ranks = sampled_ranks(
            scores, np.full(200, wanted), [seen] * 200, negatives=negatives, rng=rng
        )
        drawn[item] = (ranks == 2).sum()
    assert drawn[[1, 2, 4, 5]].tolist() == [0, 0, 0, 0]
    assert drawn.sum() == 200 * negatives
    assert drawn[[0, 3, 6, 7]].min() > 110  # 150 are expected
