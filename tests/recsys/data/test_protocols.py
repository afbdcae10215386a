"""Protocols: what is held out, against loops over users, and properties of every one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError, UsageError
from aitk.recsys.data.cleaning import clean
from aitk.recsys.data.events import EventLog
from aitk.recsys.data.options import PROTOCOLS, RateReading, RecommendReading
from aitk.recsys.data.protocols import (
    HISTORY,
    TEST,
    TRAIN,
    VALIDATION,
    check_time_leak,
    describe_protocol,
    hash_position,
    split_events,
)

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
LETTERS = {TRAIN: ".", VALIDATION: "v", TEST: "t", HISTORY: "h"}


def log(*events, splits=()):
    """A cleaned log of (user, item, time) or (user, item)."""
    gathered = EventLog()
    for place, (user, item, *time) in enumerate(events):
        fields = {"user": user, "item": item} | ({"time": time[0]} if time else {})
        gathered.add(fields, splits[place] if splits else None)
    return clean(gathered.take(), RecommendReading())[0]


def split(events, protocol="leave-one-out", shares=SHARES, seed=0):
    return split_events(events, RecommendReading(protocol=protocol), shares=shares, seed=seed)


def drawn(events, **more):
    """User -> a letter an event, oldest first."""
    codes = split(events, **more)
    return {
        user: "".join(LETTERS[code] for code in codes[events.users == number])
        for number, user in enumerate(events.user_ids)
    }


LOG = log(
    *(("a", f"{n}", n) for n in range(5)),
    *(("b", f"{n}", 10 + n) for n in range(3)),
    ("c", "0", 20),
    ("c", "1", 21),
)


def test_leave_one_out():
    assert drawn(LOG) == {"a": "...vt", "b": ".vt", "c": ".."}


def test_leave_one_out_without_a_validation_split():
    shares = {"train": 0.9, "validation": 0.0, "test": 0.1}
    assert drawn(LOG, shares=shares) == {"a": "....t", "b": "..t", "c": ".t"}


def test_the_last_of_equal_times_is_the_last_in_the_file():
    events = log(("a", "x", 5), ("a", "y", 5), ("a", "z", 5), ("a", "w", 1))
    codes = split(events)
    assert events.item_ids[events.items[codes == TEST][0]] == "z"


def test_time_cuts_all_at_the_same_moments():
    shares = {"train": 0.5, "validation": 0.3, "test": 0.2}
    assert drawn(LOG, protocol="time", shares=shares) == {"a": ".....", "b": "vvv", "c": "tt"}
    tied = log(*(("a", f"{n}", min(n, 8)) for n in range(10)))  # the last two at one moment
    assert drawn(tied, protocol="time") == {"a": "........vv"[:8] + "tt"}
    with pytest.raises(UsageError, match="--protocol time: the log has no times"):
        split(log(("a", "x"), ("b", "x")), "time")


def recbole_counts(total, ratios):
    """How many of ``total`` events each split gets in RecBole's random split."""
    counts = [int(ratio * total) for ratio in ratios]
    counts[0] = total - sum(counts[1:])
    for back in range(1, len(ratios)):
        if counts[0] <= 1:
            break
        if 0 < ratios[-back] * total < 1:
            counts[-back] += 1
            counts[0] -= 1
    return counts


@pytest.mark.parametrize("total", [1, 2, 3, 4, 9, 10, 11, 25, 60])
def test_ratio_counts(total):
    events = log(*(("a", f"{n}") for n in range(total)))
    codes = split(events, "ratio")
    assert np.bincount(codes, minlength=3).tolist() == recbole_counts(total, [0.8, 0.1, 0.1])


def test_ratio_depends_on_the_seed_and_on_no_other_user():
    events = [("a", f"{n}") for n in range(30)]
    alone, other_seed = split(log(*events), "ratio"), split(log(*events), "ratio", seed=1)
    assert (alone != other_seed).any()
    both = log(*events, *(("b", f"{n}") for n in range(40)))
    assert np.array_equal(split(both, "ratio")[:30], alone)


def test_ratio_draws_every_place_alike():
    events = log(*((f"u{user}", f"i{item}") for user in range(600) for item in range(10)))
    codes = split(events, "ratio").reshape(600, 10)
    held_out = (codes == TEST).mean(axis=0)
    assert np.abs(held_out - 0.1).max() < 4 * math.sqrt(0.09 / 600)


def test_cold_users_keep_their_first_half_as_history():
    events = log(*((f"u{user}", f"{n}") for user in range(40) for n in range(5)), ("x", "0"))
    for user, letters in drawn(events, protocol="cold-users").items():
        position = hash_position(user, 0)
        expected = "....." if position < 0.8 else "hhvvv" if position < 0.9 else "hhttt"
        assert letters == ("." if user == "x" else expected)


def test_cold_items_are_all_in_one_split():
    events = log(*((f"u{user}", f"i{item}") for user in range(5) for item in range(40)))
    codes = split(events, "cold-items")
    for item, name in enumerate(events.item_ids):
        position = hash_position(name, 0)
        expected = TRAIN if position < 0.8 else VALIDATION if position < 0.9 else TEST
        assert set(codes[events.items == item]) == {expected}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([f"u{n}" for n in range(9)]),
            st.sampled_from([f"i{n}" for n in range(9)]),
            st.integers(0, 30),
        ),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from(PROTOCOLS),
    st.integers(0, 3),
)
def test_every_protocol(rows, protocol, seed):
    events = log(*rows)
    codes = split(events, protocol, seed=seed)
    assert len(codes) == len(events) and set(codes) <= set(LETTERS)
    assert np.array_equal(codes, split(events, protocol, seed=seed))
    if protocol in ("leave-one-out", "time"):  # of one user, nothing held out is older
        for user in range(len(events.user_ids)):
            assert (np.diff(codes[events.users == user]) >= 0).all()


def test_the_files_names_go_before_the_protocol():
    names = ["train", "train", "validation", "test", "train"]
    events = log(("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("b", "1"), splits=names)
    assert drawn(events, protocol="cold-users") == {"a": "..vt", "b": "."}
    result = describe_protocol(events, RecommendReading(), shares=SHARES)
    assert result.startswith("as the files name it; ")


def test_validation_is_cut_from_training_where_no_file_has_it():
    names = ["train", "train", "test", "train", None]
    events = log(("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("c", "1"), splits=names)
    assert drawn(events) == {"a": ".vt", "b": ".", "c": "."}
    assert "validation being the last training event" in describe_protocol(
        events, RecommendReading(), shares=SHARES
    )


def test_files_that_name_only_training_are_split_by_the_protocol():
    events = log(("a", "1"), ("a", "2"), ("a", "3"), splits=["train"] * 3)
    assert drawn(events) == {"a": ".vt"}


def test_files_without_training():
    with pytest.raises(DataError, match="have only test events, none for training"):
        split(log(("a", "1"), ("b", "2"), splits=["test", "test"]))


def test_the_protocol_is_given_in_words():
    assert describe_protocol(LOG, RecommendReading(), shares=SHARES) == (
        "leave-one-out by time, ties by file order;"
        " test histories hold training and validation events; full ranking"
    )
    reading = RecommendReading(protocol="ratio", test_history="train")
    assert describe_protocol(LOG, reading, shares=SHARES) == (
        "a random part of each user's events, 80/10/10;"
        " test histories hold training events only; full ranking"
    )


@pytest.mark.parametrize(("protocol", "grade"), [("ratio", "warning"), ("time", "ok")])
def test_a_time_leak_is_reported(protocol, grade):
    events = log(*((f"u{user}", f"{n}", n) for user in range(20) for n in range(20)))
    reading = RecommendReading(protocol=protocol)
    codes = split_events(events, reading, shares=SHARES, seed=0)
    found = check_time_leak(events, codes, reading)
    older = sum(events.times[codes == TEST] < events.times[codes == TRAIN].max())
    assert (found.grade, found.details.get("events", 0)) == (grade, older)


def test_ratings_are_not_ranked_and_sampling_is_reported():
    assert describe_protocol(LOG, RateReading(), shares=SHARES).endswith("validation events")
    told = describe_protocol(LOG, RecommendReading(sampled_negatives=7), shares=SHARES)
    assert told.endswith("full ranking; sampled_* among 7 random items: not comparable with the"
                         " others")  # fmt: skip
