"""Ratings: on the scale of training, for one item per row, and the mean for unknown users and
items."""

import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.recsys.tasks.rate import Rate

TASK = Rate()


@pytest.fixture
def assets(make_assets):
    return make_assets(batches="ratings")


def batch_of(assets, *rows):
    return TASK.collate(TASK.encode(rows, assets), assets)


def stored(targets, ratings):
    return {"user": "ann", "items": [0], "ratings": [5.0], "targets": targets,
            "target_ratings": ratings}  # fmt: skip


def test_a_prediction_is_a_rating_on_the_scale_of_training(assets):
    batch = batch_of(assets, *({"user": "ann", "item": item} for item in "cde"))
    answers = TASK.decode(batch, np.array([[3.14159], [7.0], [-2.0]]), assets)
    assert answers == [{"prediction": 3.1416}, {"prediction": 5.0}, {"prediction": 1.0}]


def test_what_is_unknown_is_reported(assets):
    batch = batch_of(
        assets,
        {"user": "ann", "item": "zz"},
        {"user": "eve", "item": "a"},
        {"user": "eve", "item": "a", "history": ["b"], "ratings": [2.0]},
        {"item": "a"},
    )
    answers = TASK.decode(batch, np.full((4, 1), 2.5), assets)
    assert [answer["prediction"] for answer in answers] == [4.0, 2.5, 2.5, 2.5]
    assert answers[0]["note"] == "unknown item 'zz': the mean of all ratings"
    assert answers[1]["note"] == "unknown user 'eve': based on the ratings of others"
    assert "note" not in answers[2] and "note" not in answers[3]


def test_errors_are_summed_over_the_ratings_of_a_row(assets):
    batch = batch_of(assets, stored([1, 2], [3.0, 5.0]), stored([3], [1.0]))
    kept = TASK.measure(batch, np.array([[4.0, 9.0], [2.0, 77.0]]), assets)
    assert kept["ratings"].tolist() == [2, 1]
    assert kept["squared"].tolist() == [1, 1]  # 9 is cut to 5
    evaluation = TASK.score(kept, assets)
    assert list(evaluation.metrics) == ["rmse", "mae"]
    assert evaluation.metrics["rmse"].value == pytest.approx((2 / 3) ** 0.5)
    assert evaluation.details["ratings"] == 3


def test_an_item_that_training_did_not_know_is_rated_by_the_mean(assets):
    batch = batch_of(assets, stored([1, 9], [3.0, 2.0]))
    assert batch.inputs["targets"].tolist() == [[2, 0]]
    kept = TASK.measure(batch, np.array([[3.0, 5.0]]), assets)
    assert kept["squared"].tolist() == [4]  # the mean is 4


def test_rows_without_ratings_cannot_be_scored(assets):
    kept = TASK.measure(batch_of(assets, stored([], [])), np.zeros((1, 1)), assets)
    with pytest.raises(DataError, match="no rating"):
        TASK.score(kept, assets)
