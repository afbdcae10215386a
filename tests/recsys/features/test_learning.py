"""From a log to assets, and what new events add to them."""

import hashlib

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import resolve
from aitk.core.contract.rows import Refusal, Row
from aitk.recsys.data.options import RecommendReading
from aitk.recsys.features.learning import (
    HELD_OUT_SHARE,
    RatingSums,
    extend_assets,
    learn_assets,
    renumber,
)
from aitk.recsys.tasks.settings import EaseSettings


def held_out(user):
    digest = hashlib.blake2b(user.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < HELD_OUT_SHARE


#: Users whose last new event is held out, and users who are only learned from.
TESTED = [f"t{n}" for n in range(100) if held_out(f"t{n}")]
LEARNED = [f"t{n}" for n in range(100) if not held_out(f"t{n}")]


def train_row(user, items, ratings):
    times = list(range(10, 10 + len(items)))
    return {"user": user, "items": np.array(items), "ratings": np.array(ratings, np.float32),
            "times": np.array(times), "seen": [], "targets": [], "target_ratings": []}  # fmt: skip


KNOWN = [train_row("ann", [0], [5]), train_row("bob", [2], [4])]  # ann's b was held out


@pytest.fixture
def extend(make_assets):
    """Extend the assets by events: ``extend(("ann", "c"), ("eve", "a", 3.0, 99))``."""

    def extend(*events, assets=None, known=KNOWN, **reading):
        names = ("user", "item", "rating", "time")
        rows = [
            event
            if isinstance(event, Refusal)
            else Row(dict(zip(names, event, strict=False)), "new.csv", line)
            for line, event in enumerate(events, 1)
        ]
        options = resolve(RecommendReading, reading)
        grown, items = extend_assets(iter(rows), assets or make_assets(), known, reading=options)
        items = list(items)
        refused = [item for item in items if isinstance(item, Refusal)]
        return grown, [item for item in items if isinstance(item, Row)], refused

    return extend


def fields_of(rows, split="train"):
    return {row.fields["user"]: row.fields for row in rows if row.split == split}


def test_new_events_follow_the_old_ones_in_time_order(extend):
    assert not held_out("ann")
    grown, rows, refused = extend(("ann", "e", 2.0, 30), ("ann", "c", 1.0, 20))
    (row,) = rows
    assert row.fields["items"] == [0, 2, 4]
    assert row.fields["ratings"] == [5, 1, 2]
    assert row.fields["times"] == [10, 20, 30]
    assert grown.histories.of("ann")[0].tolist() == [0, 1, 2, 4]  # the held-out b too
    assert grown.counts.tolist() == [3, 1, 3, 0, 2]
    assert grown.users == ("ann", "bob") and refused == []


def test_events_without_times_are_numbered_on(extend):
    _, (row,), _ = extend(("ann", "e"), ("ann", "c"))
    assert row.fields["items"] == [0, 4, 2]
    assert row.fields["times"] == [10, 2, 3]
    assert row.fields["ratings"] == [5, 1, 1]


def test_new_items_come_after_the_old_and_nothing_is_known_of_them(extend):
    grown, rows, _ = extend((LEARNED[0], "y"), (LEARNED[0], "x"), (LEARNED[0], "a"))
    assert grown.items == ["a", "b", "c", "d", "e", "y", "x"]
    assert grown.attributes.column("title").to_pylist()[4:] == ["Alpha", None, None]
    assert grown.counts.tolist() == [4, 1, 2, 0, 1, 1, 1]
    assert fields_of(rows)[LEARNED[0]]["items"] == [5, 6, 0]
    assert grown.users == ("ann", "bob", LEARNED[0])
    assert grown.attributes.schema.equals(extend(("ann", "c"))[0].attributes.schema)


def test_the_last_event_of_some_users_is_held_out_and_not_counted(extend):
    user = TESTED[0]
    grown, rows, _ = extend((user, "a", 1.0, 1), (user, "x", 9.0, 2))
    train, test = fields_of(rows)[user], fields_of(rows, "test")[user]
    assert (train["items"], train["targets"]) == ([0], [])
    assert (test["items"], test["targets"], test["target_ratings"]) == ([0], [5], [9])
    assert grown.counts.tolist() == [4, 1, 2, 0, 1, 0]
    assert grown.rating_range == (1, 5)
    assert grown.histories.of(user)[0].tolist() == [0, 5]


def test_a_user_with_one_event_only_trains(extend):
    _, rows, _ = extend((TESTED[0], "a"))
    assert [row.split for row in rows] == ["train"]


def test_what_was_held_out_before_is_seen_and_not_to_be_found(extend, make_assets):
    user = TESTED[0]
    assets = make_assets(histories=make_assets().histories.with_events(
        {user: (np.array([0, 3]), np.array([1.0, 1.0]))}
    ))  # fmt: skip
    _, rows, _ = extend((user, "c", 1.0, 99), assets=assets, known=[train_row(user, [0], [1])])
    test = fields_of(rows, "test")[user]
    assert (test["items"], test["seen"], test["targets"]) == ([0], [3], [2])


def test_what_the_user_has_had_is_refused_with_its_line(extend):
    bad = Refusal("new.csv", 7, "no item")
    grown, rows, refused = extend(("ann", "b"), bad, ("bob", "a"), ("bob", "a"))
    assert [(item.line, item.reason) for item in refused] == [
        (1, "user 'ann' already has the item 'b'"),
        (7, "no item"),
        (4, "user 'bob' already has the item 'a'"),
    ]
    assert set(fields_of(rows)) == {"bob"}
    assert grown.counts[0] == 4


def test_where_events_may_repeat_they_are_learned(extend):
    grown, (row,), refused = extend(("bob", "c"), duplicates="keep-all")
    assert row.fields["items"] == [2, 2] and refused == []
    assert grown.counts[2] == 3


def test_what_the_first_log_left_out_stays_out(extend):
    told = {"min_rating": 4.0, "unknown_items": "drop"}
    _, rows, refused = extend(("ann", "c", 3.0), ("ann", "x", 5.0), ("ann", "d", 4.0), **told)
    assert [item.reason for item in refused] == [
        "the rating 3 is below the minimum of 4",
        "the item 'x' is unknown",
    ]
    assert fields_of(rows)["ann"]["items"] == [0, 3]


def test_only_refusals_change_nothing(extend, make_assets):
    assets = make_assets()
    grown, rows, refused = extend(("ann", "a"), assets=assets)
    assert grown is assets and rows == [] and len(refused) == 1


def test_a_wider_rating_widens_the_scale_but_not_the_units(extend, make_assets):
    grown, _, _ = extend(("ann", "c", 7.0))
    assert grown.rating_range == (1, 7)
    assert grown.rating_mean == make_assets().rating_mean


def test_a_second_update_builds_on_the_first(extend):
    user = LEARNED[0]
    first, rows, _ = extend((user, "x", 1.0, 1), ("ann", "c", 1.0, 50))
    known = [*KNOWN, *(row.fields for row in rows if row.split == "train")]
    second, rows, refused = extend(
        (user, "x", 1.0, 3), (user, "y", 1.0, 4), ("ann", "d", 1.0, 60), assets=first, known=known
    )
    assert second.items[5:] == ["x", "y"]
    assert fields_of(rows)[user]["items"] == [5, 6]
    assert fields_of(rows)["ann"]["items"] == [0, 2, 3]
    assert second.users == ("ann", "bob", user)
    assert [item.reason for item in refused] == [f"user {user!r} already has the item 'x'"]
    assert second.counts.tolist() == [3, 1, 3, 1, 1, 1, 1]


def test_catalogues_are_matched_by_id():
    assert renumber(["a", "b", "c"], ["c", "x", "a"]).tolist() == [2, -1, 0]
    assert renumber([], ["a"]).tolist() == [-1]


def test_ratings_are_summed_part_by_part():
    sums = RatingSums()
    for part in ([1, 2, 3], [], [4, 5]):
        sums.add(np.array(part, np.float32))
    assert (sums.mean, sums.range) == (3, (1, 5))
    assert sums.deviation == pytest.approx(np.std([1, 2, 3, 4, 5]))


def test_ratings_that_are_all_equal_can_be_divided_by():
    sums = RatingSums()
    assert (sums.range, sums.deviation) == ((1, 1), 1)
    sums.add(np.full(9, 4.3, np.float32))
    assert sums.deviation == 1


def test_data_without_its_tables_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="tables are missing.*Prepare it again"):
        learn_assets([], {}, EaseSettings(), model="ease", batches="", start=None,
                     tables=tmp_path / "tables")  # fmt: skip
