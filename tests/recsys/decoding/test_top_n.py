"""Recommendations: without known items, with filters, and with notes on unknown ids."""

import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.recsys.data.options import RecommendOptions
from aitk.recsys.decoding.top_n import allowed_items, recommend_rows
from aitk.recsys.features.batching import collate_rows, encode_row

SCORES = [0.1, 0.2, 0.3, 0.4, 0.5]  # e is the best, then d, c, b, a


@pytest.fixture
def ask(make_assets):
    """The prediction for one query: ``ask({"user": "ann"}, top_k=2, filter=["price=10"])``."""

    def ask(fields, *, top_k=5, scores=SCORES, **asked):
        assets = make_assets()
        batch = collate_rows([encode_row(fields, assets)], assets)
        outputs = np.array([scores], np.float32)
        options = resolve(RecommendOptions, asked)
        (answer,) = recommend_rows(batch, outputs, assets, top_k=top_k, options=options)
        return answer

    return ask


def items(answer):
    return "".join(each["item"] for each in answer["recommendations"])


def test_the_best_come_first_with_scores_and_titles(ask):
    answer = ask({"user": "ann"}, top_k=2)
    assert answer == {
        "prediction": "e",
        "recommendations": [
            {"item": "e", "score": 0.5, "title": "Alpha"},
            {"item": "d", "score": 0.4},
        ],
    }


def test_what_the_user_has_had_is_left_out_unless_requested(ask):
    assert items(ask({"user": "ann"})) == "edc"
    assert items(ask({"user": "ann"}, exclude_seen=False)) == "edcba"


def test_further_seen_items_of_a_stored_row_are_left_out(ask):
    row = {"user": "ann", "items": [0], "ratings": [1.0], "seen": [4], "targets": [3]}
    assert items(ask(row)) == "dcb"


def test_a_history_given_takes_the_place_of_the_users_own(ask):
    assert items(ask({"user": "ann", "history": ["e", "d"]})) == "cba"


def test_what_is_like_an_item_is_never_that_item(ask):
    assert items(ask({"item": "e"})) == "dcba"
    assert items(ask({"item": "e"}, exclude_seen=False)) == "dcba"


def test_for_an_unknown_user_the_popular_items_stand_in(ask):
    answer = ask({"user": "eve"}, top_k=3)
    assert items(answer) == "acb"
    assert answer["note"] == "unknown user 'eve'; no history is known: the most popular items"


def test_unknown_items_of_a_history_are_named(ask):
    answer = ask({"history": ["a", "zz", "yy"]})
    assert items(answer) == "edcb"
    assert answer["note"] == "unknown items ignored: zz, yy"
    assert ask({"history": ["a"]}).keys() == {"prediction", "recommendations"}


def test_an_unknown_item_alone_is_named(ask):
    assert "unknown item 'zz'" in ask({"item": "zz"})["note"]


def test_an_unknown_user_with_a_history_is_no_stranger(ask):
    assert "note" not in ask({"user": "eve", "history": ["a"]})


def test_nothing_left_is_said_as_such(ask):
    answer = ask({"user": "ann"}, filter=["title=Beta"])
    assert answer["recommendations"] == [] and answer["prediction"] is None
    assert answer["note"] == "no item is left to recommend"


@pytest.mark.parametrize(
    ("conditions", "allowed"),
    [
        (["item=c"], "c"),
        (["title=Alpha"], "ae"),
        (["genres=y"], "bc"),
        (["price=17.60"], "e"),
        (["price=10..18"], "ae"),
        (["price=..10"], "ac"),
        (["price=18.."], "b"),
        (["genres=x", "price=..10"], "a"),
        (["title=nothing"], ""),
        (["title=A..z"], ""),
    ],
)
def test_filters_by_text_tag_and_number(make_assets, conditions, allowed):
    assets = make_assets()
    found = allowed_items(assets, conditions)
    assert "".join(np.array(assets.items)[found]) == allowed
    assert allowed_items(assets, []) is None


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("prize=3", "Did you mean 'price'"),
        ("price", "COLUMN=VALUE"),
        ("price=cheap", "'price' has numbers, but 'cheap' is not a number"),
        ("price=1..x", "has numbers"),
    ],
)
def test_a_wrong_filter_is_named(make_assets, condition, words):
    with pytest.raises(UsageError, match=words):
        allowed_items(make_assets(), [condition])
