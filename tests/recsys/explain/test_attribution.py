"""Shares of a score: they add up to it, and are exact where a model adds up weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import UsageError
from aitk.recsys.explain.attribution import (
    MOST_PARTS,
    explain_rating,
    explain_recommendation,
    history_parts,
    shapley_gains,
)

WEIGHTS = np.array([[0, 1, 2, 3, -4], [5, 0, 1, 1, 6], [0, 0, 0, 2, 2], [1] * 5, [1] * 5], float)


def linear(rows):
    """Scores of a linear model: the item-to-item weights of the history, times its weights."""
    return np.array(
        [np.asarray(row["ratings"]) @ WEIGHTS[np.asarray(row["items"], int)] for row in rows]
    )


def test_of_a_linear_model_the_shares_are_its_weights(make_assets):
    told = explain_recommendation({"user": "ann"}, linear, make_assets())
    assert told["prediction"] == told["explained"] == "d"  # a 3 + b 1, where e has -4 + 6
    assert told["score"] == 4
    assert told["without_history"] == 0
    assert told["parts"] == [{"text": "Alpha", "weight": 3.0}, {"text": "Beta", "weight": 1.0}]
    assert "explained_by" not in told


def test_another_item_may_be_explained(make_assets):
    told = explain_recommendation({"history": ["a", "b"]}, linear, make_assets(), target="e")
    assert (told["prediction"], told["explained"], told["score"]) == ("d", "e", 2)
    assert [part["weight"] for part in told["parts"]] == [-4, 6]
    with pytest.raises(UsageError, match="unknown item 'ee'"):
        explain_recommendation({"user": "ann"}, linear, make_assets(), target="ee")


def test_what_was_seen_is_not_what_is_explained(make_assets):
    row = {"user": "ann", "items": [0], "ratings": [1.0], "targets": [], "seen": [3]}
    assert explain_recommendation(row, linear, make_assets())["prediction"] == "c"


def test_who_has_had_everything_is_reported_so(make_assets):
    everything = {"history": list("abcde")}
    with pytest.raises(UsageError, match="has already had every item.*--target"):
        explain_recommendation(everything, linear, make_assets())
    told = explain_recommendation(everything, linear, make_assets(), target="a")
    assert told["prediction"] is None and told["explained"] == "a"


def test_without_a_history_there_is_nothing_to_explain(make_assets):
    for fields in ({"user": "eve"}, {"history": ["zz"]}):
        with pytest.raises(UsageError, match="nothing to explain"):
            explain_recommendation(fields, linear, make_assets())


def test_a_user_with_an_own_vector_is_explained_as_a_stranger(make_assets):
    def outputs(rows):
        return np.array(
            [
                WEIGHTS[0] if row["user"] else own
                for row, own in zip(rows, linear(rows), strict=True)
            ]
        )

    told = explain_recommendation({"user": "ann"}, outputs, make_assets())
    assert told["explained_by"].startswith("the history alone")
    assert sum(part["weight"] for part in told["parts"]) == 4


def test_a_model_that_looks_at_no_history_has_no_shares_and_no_excuse(make_assets):
    def popular(rows):
        return np.tile(WEIGHTS[0], (len(rows), 1))

    told = explain_recommendation({"user": "ann"}, popular, make_assets())
    assert "explained_by" not in told
    assert [part["weight"] for part in told["parts"]] == [0, 0]


def test_a_rating_is_explained_by_the_users_ratings(make_assets):
    def outputs(rows):
        return np.array([[3 + np.sum(np.asarray(row["ratings"]) - 4)] for row in rows])

    assets = make_assets(batches="ratings")
    told = explain_rating({"user": "ann", "item": "c"}, outputs, assets)
    assert (told["explained"], told["prediction"], told["without_history"]) == ("c", 3, 3)
    assert told["parts"] == [{"text": "Alpha", "weight": 1.0}, {"text": "Beta", "weight": -1.0}]
    with pytest.raises(UsageError, match="unknown item 'zz'"):
        explain_rating({"user": "ann", "item": "zz"}, outputs, assets)


@given(st.integers(0, 3 * MOST_PARTS))
def test_the_parts_of_a_history_are_all_of_it_the_latest_alone(length):
    parts = history_parts(length)
    assert [*np.concatenate([[], *parts])] == list(range(length))
    assert len(parts) <= MOST_PARTS + 1
    assert all(len(part) == 1 for part in parts[1:])


@given(st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=1, max_size=7), st.integers(0, 9))
def test_gains_add_up_to_the_whole_rise(values, seed):
    weights, rng = np.array(values), np.random.default_rng(seed)
    table = rng.normal(size=2 ** len(values))

    def of_any_kind(histories):
        places = [int(np.sum(2 ** np.asarray(places, int))) for places in histories]
        return table[places]

    def additive(histories):
        return np.array([weights[np.asarray(places, int)].sum() for places in histories])

    parts = history_parts(len(values))
    rise = table[-1] - table[0]
    assert shapley_gains(parts, of_any_kind).sum() == pytest.approx(rise, abs=1e-9)
    assert shapley_gains(parts, additive, orders=1) == pytest.approx(weights, abs=1e-9)


def test_items_join_in_any_order_and_stand_in_that_of_time():
    def score(histories):
        assert all(list(places) == sorted(places) for places in histories)
        return np.array([len(places) for places in histories], float)

    assert shapley_gains(history_parts(6), score) == pytest.approx(np.ones(6))
