"""Statistics of a log against hand calculation, and each fault found and graded."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.recsys.data.attributes import Attributes
from aitk.recsys.data.cleaning import clean
from aitk.recsys.data.events import EventLog
from aitk.recsys.data.options import RateReading, RecommendReading
from aitk.recsys.data.protocols import HISTORY, TEST, TRAIN, VALIDATION
from aitk.recsys.data.quality import find_faults
from aitk.recsys.data.statistics import describe_log, gini, popularity_curve

CODES = {".": TRAIN, "v": VALIDATION, "t": TEST, "h": HISTORY}


def log(*users, ratings=None, times=None):
    """A log of users' items, a letter an event: ``"xyz"``."""
    gathered = EventLog()
    place = 0
    for number, items in enumerate(users):
        for item in items:
            fields = {"user": f"u{number}", "item": item}
            if ratings:
                fields["rating"] = ratings[place]
            if times:
                fields["time"] = times[place]
            gathered.add(fields, None)
            place += 1
    return clean(gathered.take(), RecommendReading(duplicates="keep-all"))[0]


def codes_of(*letters):
    return np.array([CODES[letter] for letter in "".join(letters)], np.int8)


def faults(events, codes, items=None, kind=RecommendReading, **options):
    found = find_faults(events, codes, kind(**options), items=items)
    return {finding.check: finding for finding in found}


def described(events, codes, **more):
    return describe_log(
        events, codes, RecommendReading(), **({"items": None, "users": None} | more)
    )


def naive_gini(counts):
    """Half the mean absolute difference of all pairs, relative to the mean."""
    pairs = [abs(a - b) for a in counts for b in counts]
    return sum(pairs) / len(pairs) / (2 * sum(counts) / len(counts))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_gini_is_half_the_relative_mean_difference(counts):
    assert gini(np.array(counts)) == pytest.approx(naive_gini(counts), abs=1e-12)


def test_gini_of_nothing():
    assert gini(np.zeros(3)) == 0.0


def test_popularity_curve():
    curve = popularity_curve(np.array([1] * 10 + [9] * 10))
    assert curve["x"][9] == 50 and curve["y"][9] == 90
    assert curve["y"][-1] == 100 and len(curve["x"]) == 20


def test_statistics_of_a_small_log():
    events = log("xyz", "xw", ratings=[1, 2, 3, 4, 5], times=[0, 3600, 7200, 90000, 86400 * 4])
    summary = described(events, codes_of(".vt", ".."))
    assert (summary["users"], summary["items_with_events"], summary["events"]) == (2, 4, 5)
    assert summary["sparsity"] == 1 - 5 / 8
    assert summary["ratings"] == {
        "mean": 3.0, "deviation": 1.4142, "lowest": 1.0, "highest": 5.0,
    }  # fmt: skip
    assert summary["splits"]["test"] == {
        "events": 1, "users": 1, "items": 1, "users_not_in_training": 0, "items_not_in_training": 1,
    }  # fmt: skip
    assert summary["splits"]["train"]["events"] == 3
    assert summary["history_lengths"]["test"]["longest"] == 2
    assert summary["history_lengths"]["validation"]["longest"] == 1
    assert (summary["first_event"], summary["last_event"]) == (
        "1970-01-01 00:00:00+00:00",
        "1970-01-05 00:00:00+00:00",
    )
    charts = summary["charts"]
    assert charts["ratings"] == {"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [1, 1, 1, 1, 1]}
    assert charts["events_by_hour_of_the_day"]["y"][:3] == [2, 2, 1]
    week = charts["events_by_day_of_the_week"]
    assert dict(zip(week["x"], week["y"], strict=True))["Thursday"] == 3
    assert json.loads(json.dumps(summary)) == summary


def test_a_log_without_times_and_ratings_has_no_such_charts():
    charts = described(log("xy", "xz"), codes_of("..", ".."))["charts"]
    assert list(charts) == [
        "training_events_of_a_user",
        "most_popular_percent_of_items_with_percent_of_events",
    ]


def test_attributes_are_described():
    facts = Attributes(["x", "y"], {"title": "text"}, {"title": ["One", None]})
    summary = described(log("xy", "xz"), codes_of("..", ".."), items=facts)
    assert summary["attributes_of_items"] == {"title": {"kind": "text", "missing": 1, "of": 2}}


def test_no_held_out_event_is_an_error_and_few_are_a_warning():
    events = log("xy", "xz")
    assert faults(events, codes_of("..", ".."))["held-out events"].grade == "error"
    assert faults(events, codes_of(".t", ".v"))["held-out events"].grade == "warning"


def test_new_items_are_warned_of_unless_the_protocol_wants_them():
    events, codes = log("xy", "xz"), codes_of(".t", ".v")
    found = faults(events, codes)["new items"]
    assert (found.grade, found.details["count"], found.details["items"]) == ("warning", 2, 2)
    assert faults(events, codes, protocol="cold-items")["new items"].grade == "ok"


def test_users_without_a_history():
    found = faults(log("xy", "yx"), codes_of("..", "tt"))["users without a history"]
    assert (found.grade, found.details) == ("warning", {"count": 1, "share": 1.0})
    assert faults(log("xy", "yx"), codes_of("..", "ht"))["users without a history"].grade == "ok"


def test_targets_that_their_user_had_before():
    found = faults(log("xyx", "yz"), codes_of("..t", ".t"))["targets seen before"]
    assert (found.grade, found.details["count"]) == ("warning", 1)


def test_short_histories():
    events, codes = log("vwxyz", "x"), codes_of(".....", ".")
    found = faults(events, codes)["short histories"]
    assert (found.grade, found.details["count"]) == ("warning", 1)


@pytest.mark.parametrize(
    ("ratings", "grade"), [([0, 3, 5], "warning"), ([0, 0.5, 5], "ok"), ([1, 3, 5], "ok")]
)
def test_ratings_of_0_below_a_scale_from_1(ratings, grade):
    found = faults(log("xy", "x", ratings=ratings), codes_of("..", "."), kind=RateReading)
    assert found["ratings of 0"].grade == grade


def test_a_rating_of_0_is_no_choice():
    found = faults(log("xy", "x", ratings=[0, 0.5, 5]), codes_of("..", "."))
    assert found["ratings of 0"].grade == "warning"


def test_items_that_the_items_file_lacks():
    facts = Attributes(["x"], {}, {})
    found = faults(log("xy", "x"), codes_of("..", "."), items=facts)["items without attributes"]
    assert (found.grade, found.details["count"]) == ("warning", 1)


def test_popularity_is_reported():
    found = faults(log("xy", "xz"), codes_of("..", ".."))["popularity"]
    assert found.details["top_10_percent"] == 0.5  # one item of three


def test_negative_ratings_are_warned_of():
    found = faults(log("wxyz", ratings=[-3, 1, 2, -1]), codes_of("..vt"))
    assert (found["negative ratings"].grade, found["negative ratings"].details["count"]) == (
        "warning",
        2,
    )
    assert "--min-rating" in found["negative ratings"].message


def test_a_held_out_event_with_the_time_of_one_before_it_is_reported():
    events = log("xyz", "xyz", times=[1, 2, 2, 1, 2, 3])
    found = faults(events, codes_of("..t", "..t"))["tied times"]
    assert (found.grade, found.details["count"]) == ("warning", 1)
    assert "tied times" not in faults(events, codes_of("..t", "..t"), protocol="ratio")


def test_ids_that_a_spreadsheet_rounded_are_reported():
    gathered = EventLog()
    for item in ("1.23E+15", "1.24E+15", "7"):
        gathered.add({"user": "u", "item": item}, None)
    found = faults(gathered.take(), codes_of("..t"))["rounded ids"]
    assert found.grade == "warning" and found.details["count"] == 2


def test_ids_that_differ_in_case_or_leading_zeros_are_reported():
    gathered = EventLog()
    for user, item in (("7", "a"), ("007", "A"), ("8", "b")):
        gathered.add({"user": user, "item": item}, None)
    found = faults(gathered.take(), codes_of("..t"))["ids alike"]
    assert (found.grade, found.details["count"]) == ("warning", 2)


def test_an_items_file_with_none_of_the_ids_is_an_error():
    items = Attributes(["007", "008"], {}, {})
    found = faults(log("78", "87"), codes_of("..", ".."), items=items)["items without attributes"]
    assert found.grade == "error"
    assert "'7' and '007'" in found.message
