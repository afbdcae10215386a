"""Batches: histories end with the newest item, and each objective has its targets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aitk.recsys.features.batching import MOST_EVENTS, collate_rows, encode_row, pad_left, pad_right

A, B, C, D, E = range(1, 6)  # numbers in a batch
MASK = 6


def row(user, items, ratings=None, targets=(), **more):
    ratings = [1.0] * len(items) if ratings is None else ratings
    return {"user": user, "items": items, "ratings": ratings, "targets": list(targets)} | more


@pytest.fixture
def batch_of(make_assets):
    """The batch of some rows: ``batch_of(rows, batches="next", seed=0)``."""

    def batch_of(*rows, seed=None, pad_to=None, **changes):
        assets = make_assets(**changes)
        examples = [encode_row(fields, assets) for fields in rows]
        rng = None if seed is None else np.random.default_rng(seed)
        return collate_rows(examples, assets, rng=rng, pad_to=pad_to)

    return batch_of


def test_histories_are_padded_on_the_left_and_targets_on_the_right(batch_of):
    batch = batch_of(row("ann", [0, 1], targets=[4]), row("bob", [2], targets=[0, 3]), row("x", []))
    assert batch.inputs["history"].tolist() == [[A, B], [0, C], [0, 0]]
    assert batch.inputs["history_weights"].tolist() == [[1, 1], [0, 1], [0, 0]]
    assert batch.inputs["targets"].tolist() == [[E, 0], [A, D], [0, 0]]
    assert batch.inputs["user"].tolist() == [1, 2, 0]
    assert batch.context["lengths"].tolist() == [2, 1, 0]


def test_a_given_width_is_kept(batch_of):
    batch = batch_of(row("ann", [0]), pad_to=3)
    assert batch.inputs["history"].tolist() == [[0, 0, A]]


def test_only_the_latest_items_are_read_but_all_were_seen(batch_of):
    batch = batch_of(row("ann", [0, 1, 2], seen=[4]), max_length=2)
    assert batch.inputs["history"].tolist() == [[B, C]]
    assert batch.context["seen"][0].tolist() == [0, 1, 2, 4]
    assert batch.context["lengths"].tolist() == [3]


def test_ratings_count_only_where_they_are_learned(batch_of):
    rated = row("ann", [0, 1], [5.0, 2.0])
    assert batch_of(rated).inputs["history_weights"].tolist() == [[1, 1]]
    assert batch_of(rated, batches="ratings").inputs["history_weights"].tolist() == [[5, 2]]


def test_items_that_the_assets_do_not_know_are_no_history_and_no_slot(batch_of):
    batch = batch_of(row("ann", [0, 7, 1], targets=[9, 2]))
    assert batch.inputs["history"].tolist() == [[A, B]]
    assert batch.inputs["targets"].tolist() == [[0, C]]
    assert batch.context["targets"][0].tolist() == [9, 2]


def test_a_question_is_answered_from_the_users_own_history(batch_of):
    batch = batch_of({"user": "ann", "item": "c"}, {"history": ["e", "?"], "ratings": [2.0, 3.0]})
    assert batch.inputs["history"].tolist() == [[A, B], [0, E]]
    assert batch.inputs["targets"].tolist() == [[C], [0]]
    first, second = batch.context["queries"]
    assert first == {"user": "ann", "known_user": True, "item": "c", "known_item": True}
    assert second == {"unknown": ["?"]}


def test_next_is_each_item_from_those_before_it(batch_of):
    batch = batch_of(
        row("ann", [0, 1, 2]), row("bob", [3]), seed=0, batches="next", settings={"loss": "softmax"}
    )
    assert batch.inputs["history"].tolist() == [[A, B], [0, 0]]
    assert batch.inputs["positives"].tolist() == [[B, C], [0, 0]]
    assert batch.targets.tolist() == [[1, 2], [0, 0]]  # columns of all items
    assert batch.weights.tolist() == [[1, 1], [0, 0]]


def test_next_reads_no_more_than_the_model_does(batch_of):
    batch = batch_of(row("ann", [0, 1, 2, 3]), seed=0, batches="next", max_length=2)
    assert batch.inputs["history"].tolist() == [[B, C]]
    assert batch.inputs["positives"].tolist() == [[C, D]]
    assert batch.targets.tolist() == [[0, 0]]  # the first of the candidates


@pytest.mark.parametrize("seed", range(20))
def test_masked_hides_what_is_to_be_guessed(batch_of, seed):
    told = {"batches": "masked", "settings": {"mask_share": 0.5}}
    batch = batch_of(row("ann", [0, 1, 2, 3]), row("bob", [4]), seed=seed, **told)
    whole = np.array([[A, B, C, D], [0, 0, 0, E]])
    hidden = batch.inputs["history"] == MASK
    assert hidden.any(axis=1).all()
    assert (batch.inputs["positives"] == np.where(hidden, whole, 0)).all()
    assert (batch.inputs["history"] == np.where(hidden, MASK, whole)).all()
    assert (batch.weights == hidden).all()


def test_masking_leaves_the_rows_as_they_are(make_assets):
    assets = make_assets(batches="masked", settings={"mask_share": 0.9})
    example = encode_row(row("ann", [0, 1, 2, 3]), assets)
    one, two = (
        collate_rows([example], assets, rng=np.random.default_rng(seed)).inputs["history"].tolist()
        for seed in (1, 4)
    )
    assert one != two
    assert example.inputs["items"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(10))
def test_sets_are_a_users_events_next_to_others(batch_of, seed):
    told = {"batches": "sets", "settings": {"negatives": 3}}
    batch = batch_of(row("ann", [0, 1]), row("bob", [4]), seed=seed, **told)
    assert batch.inputs["positives"].tolist() == [[A, B], [E, 0]]
    assert batch.inputs["history"].tolist() == [[0], [0]]
    assert batch.inputs["user"].tolist() == [1, 2]
    assert batch.inputs["negatives"].shape == (2, 2, 3)
    assert (batch.inputs["negatives"][0] > 0).all() and (batch.inputs["negatives"] <= E).all()
    assert batch.inputs["negatives"][1, 1].tolist() == [0, 0, 0]  # beside padding
    assert batch.targets.tolist() == [[0, 0], [0, 0]]
    assert batch.weights.tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize("kind", ["sets", "parts"])
def test_negatives_are_all_other_items_with_training_events(batch_of, kind):
    told = {"batches": kind, "settings": {"negatives": 400}}
    negatives = batch_of(row("ann", [1, 0]), seed=0, **told).inputs["negatives"]
    assert set(negatives.flat) == {C, E}  # nobody had d
    assert 0.4 < np.mean(negatives == C) < 0.6


def test_a_user_who_has_had_everything_is_next_to_anything(batch_of):
    told = {"batches": "sets", "settings": {"negatives": 200}}
    negatives = batch_of(row("ann", range(5)), seed=0, **told).inputs["negatives"]
    assert set(negatives.flat) == {A, B, C, E}


@given(
    counts=st.lists(st.integers(0, 2), min_size=5, max_size=5).filter(any),
    seen=st.lists(st.integers(0, 4), min_size=1, max_size=8),
)
@hypothesis_settings(max_examples=40, deadline=None, derandomize=True)
def test_negatives_are_what_a_loop_over_the_items_allows(make_assets, counts, seen):
    assets = make_assets(counts=np.array(counts), batches="sets", settings={"negatives": 60})
    batch = collate_rows(
        [encode_row(row("ann", seen), assets)], assets, rng=np.random.default_rng(0)
    )
    known = {item for item in range(5) if counts[item]}
    allowed = known - set(seen) or known
    assert set(batch.inputs["negatives"].flat) == {item + 1 for item in allowed}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ["parts", "ratings"])
def test_half_of_the_events_is_asked_and_the_other_half_known(batch_of, seed, kind):
    name = {"parts": "positives", "ratings": "targets"}[kind]
    ratings = [1.0, 2.0, 3.0, 4.0, 5.0]
    batch = batch_of(row("ann", [0, 1, 2, 3, 4], ratings), row("bob", [2]), seed=seed, batches=kind)
    asked, known = batch.inputs[name][0], batch.inputs["history"][0]
    assert sorted([*asked, *known]) == [A, B, C, D, E]
    assert len(asked) == 3
    assert known.tolist() == sorted(known)  # still in their order
    assert batch.inputs[name][1].tolist() == [C, 0, 0]
    assert batch.inputs["history"][1].tolist() == [0, 0]
    if kind == "ratings":
        assert batch.targets[0].tolist() == [ratings[item - 1] for item in asked]
        assert batch.inputs["history_weights"][0].tolist() == known.tolist()
        assert batch.targets[1].tolist() == [1, 0, 0]
    assert batch.weights.tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("seed", range(10))
def test_towers_guess_what_came_after_a_moment(batch_of, seed):
    batch = batch_of(row("ann", [0, 1, 2, 3]), row("bob", [4]), seed=seed, batches="towers")
    before = batch.inputs["history"][0]
    after = batch.inputs["positives"][0]
    assert [*before[before > 0], *after[after > 0]] == [A, B, C, D]
    assert after[0] > 0 and before[-1] > 0
    assert batch.inputs["history"][1, -1] == E and batch.weights[1].sum() == 0


def test_of_long_histories_a_batch_holds_a_part(batch_of):
    long = row("ann", [number % 5 for number in range(2 * MOST_EVENTS)])
    for kind in ("sets", "parts", "ratings", "next"):
        batch = batch_of(long, seed=0, batches=kind)
        widest = max(array.shape[1] for array in batch.inputs.values() if array.ndim > 1)
        assert widest <= MOST_EVENTS + 1, kind


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=4))
def test_padding_loses_nothing(rows):
    arrays = [np.array(each, int) for each in rows]
    left, right = pad_left(arrays, np.int32), pad_right(arrays, np.int32)
    assert left.shape == right.shape == (len(rows), max(1, *map(len, rows), 0))
    assert [each[each > 0].tolist() for each in left] == rows
    assert [each[each > 0].tolist() for each in right] == rows
    for own, given_row in zip(left, rows, strict=True):
        assert not given_row or own[-1] == given_row[-1]


def test_a_rating_that_is_not_told_is_the_usual_one(batch_of):
    told = {"history": ["a", "e"], "item": "b"}
    assert batch_of(told, batches="ratings").inputs["history_weights"].tolist() == [[4, 4]]
    assert batch_of(told).inputs["history_weights"].tolist() == [[1, 1]]


def test_an_item_alone_is_the_history_of_a_list_and_not_of_its_own_rating(batch_of):
    assert batch_of({"item": "b"}).inputs["history"].tolist() == [[B]]
    batch = batch_of({"item": "b"}, batches="ratings")
    assert batch.inputs["history"].tolist() == [[0]]
    assert batch.inputs["targets"].tolist() == [[B]]
