"""Cleaning: each step on logs of a few events, the k-core against a naive one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError, UsageError
from aitk.recsys.data.cleaning import check_times, clean, keep_core, session_user
from aitk.recsys.data.events import EventLog
from aitk.recsys.data.options import RecommendReading

HOUR = 3600


def log(*events, splits=()):
    """Events of (user, item, rating, time); shorter ones lack the last."""
    gathered = EventLog()
    names = ("user", "item", "rating", "time")
    for place, event in enumerate(events):
        split = splits[place] if splits else None
        gathered.add(dict(zip(names, event, strict=False)), split)
    return gathered.take()


def cleaned(events, known_items=None, **options):
    """The remaining events as (user, item, time), and the findings by check."""
    left, findings = clean(events, RecommendReading(**options), known_items=known_items)
    rows = [
        (left.user_ids[user], left.item_ids[item], time)
        for user, item, time in zip(left.users, left.items, left.times, strict=True)
    ]
    return rows, {finding.check: finding for finding in findings}


def test_events_come_by_user_and_time_with_ties_as_they_stand():
    events = log(("b", "x", 1, 9), ("a", "y", 1, 5), ("b", "z", 1, 3), ("b", "w", 1, 3))
    rows, _ = cleaned(events)
    assert rows == [("b", "z", 3), ("b", "w", 3), ("b", "x", 9), ("a", "y", 5)]


def test_without_times_the_order_of_the_file_is_kept():
    events = log(("b", "x"), ("a", "y"), ("b", "a"))
    assert not events.has_times and not events.has_ratings
    assert [row[:2] for row in cleaned(events)[0]] == [("b", "x"), ("b", "a"), ("a", "y")]


def test_the_time_range_takes_dates_and_seconds():
    events = log(*(("a", f"{day}", 1, day * 24 * HOUR) for day in range(5)))
    rows, findings = cleaned(events, since="1970-01-02", until=str(3 * 24 * HOUR))
    assert [row[1] for row in rows] == ["1", "2"]
    assert findings["times"].details == {"events": 3, "users": 0, "items": 3}
    with pytest.raises(UsageError, match="--since: cannot read 'soon'"):
        cleaned(events, since="soon")


def test_low_ratings_and_unknown_items():
    events = log(("a", "x", 5, 1), ("a", "y", 3, 2), ("b", "z", 4, 3))
    rows, findings = cleaned(events, min_rating=4.0, unknown_items="drop", known_items={"x", "y"})
    assert rows == [("a", "x", 1)]
    assert findings["low ratings"].details == {"events": 1, "users": 0, "items": 1}
    assert findings["unknown items"].details == {"events": 1, "users": 1, "items": 1}


@pytest.mark.parametrize(
    ("keep", "times"),
    [("keep-last", [8, 9]), ("keep-first", [1, 9]), ("keep-all", [1, 5, 8, 9])],
)
def test_repeated_events(keep, times):
    events = log(("a", "x", 1, 5), ("a", "x", 1, 8), ("a", "x", 1, 1), ("a", "y", 1, 9))
    rows, findings = cleaned(events, duplicates=keep)
    assert [row[2] for row in rows] == times
    if keep != "keep-all":
        assert findings["repeated events"].grade == "warning"


def test_events_of_different_splits_do_not_repeat_each_other():
    events = log(("a", "x", 1, 1), ("a", "x", 1, 2), splits=("train", "test"))
    assert len(cleaned(events)[0]) == 2


def test_robots_are_users_with_very_many_events():
    events = log(*(("bot", f"{n}") for n in range(50)), *((f"u{n}", "0") for n in range(9)))
    rows, findings = cleaned(events, max_user_percentile=90.0)
    assert len(rows) == 9
    assert findings["robots"].details["users"] == 1


def test_sessions_are_cut_at_long_gaps():
    events = log(("a", "x", 1, 0), ("b", "x", 1, 0), ("a", "y", 1, HOUR), ("a", "x", 1, 3 * HOUR))
    rows, findings = cleaned(events, session_gap_hours=1.0)
    assert [row[:2] for row in rows] == [("a#1", "x"), ("a#1", "y"), ("a#2", "x"), ("b#1", "x")]
    assert findings["sessions"].message == "2 users split into 3 sessions"
    assert session_user("a#b#12") == "a#b"


def test_few_events_are_left_out_until_none_is_below():
    # Without c, y has one event; without y, b has one.
    events = log(("a", "x"), ("a", "z"), ("b", "x"), ("b", "y"), ("c", "y"), ("d", "x"), ("d", "z"))
    rows, findings = cleaned(events, min_user_events=2, min_item_events=2)
    assert [row[:2] for row in rows] == [("a", "x"), ("a", "z"), ("d", "x"), ("d", "z")]
    assert findings["few events"].details == {"events": 3, "users": 2, "items": 1}


def naive_core(pairs, least):
    """Take one user or item with too few events away at a time."""
    pairs = list(pairs)
    while True:
        for side in (0, 1):
            names = [pair[side] for pair in pairs]
            few = next((name for name in names if names.count(name) < least[side]), None)
            if few is not None:
                pairs = [pair for pair in pairs if pair[side] != few]
                break
        else:
            return pairs


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_the_core_does_not_depend_on_the_order_of_removal(pairs, min_users, min_items):
    events = log(*pairs)
    left = keep_core(events, min_users, min_items)
    found = [
        (events.user_ids[user], events.item_ids[item])
        for user, item in zip(left.users, left.items, strict=True)
    ]
    assert found == naive_core(pairs, (min_users, min_items))


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.just(1.0), st.integers(0, 9)),
        min_size=1,
        max_size=30,
    ),
)
def test_cleaning_twice_changes_nothing(events):
    reading = RecommendReading()
    once, _ = clean(log(*events), reading)
    twice, _ = clean(once, reading)
    for field in dataclasses.fields(once):
        assert np.array_equal(getattr(once, field.name), getattr(twice, field.name))


def test_nothing_left_says_what_took_it():
    events = log(("a", "x", 1, 1), ("b", "y", 2, 2))
    with pytest.raises(
        DataError, match="no event is left after cleaning. 2 events rated below 4 left out"
    ):
        cleaned(events, min_rating=4.0)


def test_steps_need_what_the_log_lacks():
    with pytest.raises(UsageError, match="--session-gap-hours: the log has no times"):
        cleaned(log(("a", "x")), session_gap_hours=1.0)
    with pytest.raises(UsageError, match="--min-rating: the log has no ratings"):
        cleaned(log(("a", "x")), min_rating=3.0)


@pytest.mark.parametrize(
    ("times", "grade", "message"),
    [
        ((1.7e9, 1.7e9 + 86_400), "ok", "events over 1.0 days"),
        ((1.7e9, 1.7e9), "warning", "same time"),
        ((1.7e9, 2.1e9), "warning", "1 events are in the future"),
        ((3.0, 1.7e9), "warning", "1 before 1990"),
    ],
)
def test_times_are_checked(times, grade, message):
    events = log(*(("a", f"{n}", 1.0, time) for n, time in enumerate(times)))
    found = check_times(events, now_s=1.8e9)
    assert found.grade == grade and message in found.message


def test_ratings_of_a_part_of_the_events_are_left_out():
    gathered = EventLog()
    gathered.add({"user": "a", "item": "x", "rating": 4.0}, None)
    gathered.add({"user": "a", "item": "y"}, None)
    assert gathered.partly == ["ratings"]
    assert gathered.take().ratings.tolist() == [1.0, 1.0]
