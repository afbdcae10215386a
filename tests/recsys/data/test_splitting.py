"""Arranging: from events to rows and their tables."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.recsys.data.options import RecommendReading
from aitk.recsys.data.splitting import GroupedLog
from aitk.recsys.data.tables import read_table

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def grouped(items, reading, *, tables, rated=False, **more):
    return GroupedLog(
        items,
        reading,
        rated=rated,
        shares=SHARES,
        seed=0,
        tables=tables,
        note=lambda sentence: None,
        **more,
    )


def with_lists(item):
    """A row with lists instead of arrays, to be compared with ``==``."""
    if isinstance(item, Refusal):
        return item
    fields = {
        name: value if isinstance(value, str) else value.tolist()
        for name, value in item.fields.items()
    }
    return dataclasses.replace(item, fields=fields)


@pytest.fixture
def arrange(tmp_path):
    """Group (user, item, rating, time) events, or refusals; the log and all its rows."""

    def arrange_events(*events, rated=False, splits=None, **options):
        names = ("user", "item", "rating", "time")
        items = [
            event
            if isinstance(event, Refusal)
            else Row(
                dict(zip(names, event, strict=False)),
                "log.csv",
                line,
                splits[line - 1] if splits else None,
            )
            for line, event in enumerate(events, 1)
        ]
        reading = RecommendReading(**options)
        log = grouped(items, reading, rated=rated, tables=tmp_path / "tables")
        return log, [with_lists(row) for row in log]

    return arrange_events


LOG = [
    ("ann", "x", 4.0, 12.0),
    ("bob", "y", 2.0, 1.0),
    ("ann", "y", 3.0, 10.0),
    ("ann", "z", 5.0, 14.9),
    ("ann", "w", 1.5, 13.0),
]


def test_rows_of_a_user(arrange):
    _, rows = arrange(*LOG)
    assert [(row.split, row.fields["user"]) for row in rows] == [
        ("train", "ann"),
        ("train", "bob"),
        ("validation", "ann"),
        ("test", "ann"),
    ]
    # Numbers in the order of the log: x 0, y 1, z 2, w 3.
    assert rows[0].fields == {
        "user": "ann",
        "items": [1, 0],
        "ratings": [3.0, 4.0],
        "times": [10, 12],
        "seen": [],
        "targets": [],
        "target_ratings": [],
    }
    assert rows[3].fields == {
        "user": "ann",
        "items": [1, 0, 3],
        "ratings": [3.0, 4.0, 1.5],
        "times": [10, 12, 13],
        "seen": [],
        "targets": [2],
        "target_ratings": [5.0],
    }


def test_validation_events_are_seen_where_a_test_history_is_training_alone(arrange):
    _, rows = arrange(*LOG, test_history="train")
    fields = rows[3].fields
    assert (fields["items"], fields["seen"], fields["targets"]) == ([1, 0], [3], [2])


def test_times_are_places_and_ratings_one_where_the_log_has_none(arrange):
    _, rows = arrange(*(event[:2] for event in LOG))
    assert (rows[0].fields["times"], rows[0].fields["ratings"]) == ([0, 1], [1.0, 1.0])
    assert rows[0].fields["items"] == [0, 1]


def test_refusals_pass_through_at_once(arrange):
    refused = Refusal("log.csv", 1, "it has no user")
    _, rows = arrange(refused, *LOG)
    assert rows[0] == refused
    assert len(rows) == 5


def test_nothing_but_refusals(arrange):
    refused = Refusal("log.csv", 1, "it has no user")
    assert arrange(refused)[1] == [refused]


def test_tables_next_to_the_rows(arrange, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item,title,tags,price\nz,Zebra,a|b,3\nnew,Novelty,a,\nx,Xylophone,,2.5\n")
    users = tmp_path / "users.csv"
    users.write_text("user,age\nzoe,30\nann,40\n")
    arranger, _ = arrange(*LOG, items=str(items), users=str(users))
    table, kinds = read_table(tmp_path / "tables" / "items.parquet")
    assert kinds == {"title": "text", "tags": "tags", "price": "number"}
    assert table.to_pydict() == {
        "item": ["x", "y", "z", "w", "new"],
        "title": ["Xylophone", None, "Zebra", None, "Novelty"],
        "tags": [None, None, ["a", "b"], None, ["a"]],
        "price": [2.5, None, 3.0, None, None],
    }
    table, kinds = read_table(tmp_path / "tables" / "users.parquet")
    assert table.to_pydict() == {"user": ["ann", "bob", "zoe"], "age": [40.0, None, 30.0]}
    table = parquet.read_table(tmp_path / "tables" / "histories.parquet")
    assert table.to_pydict() == {
        "user": ["ann", "bob"],
        "items": [[1, 0, 3, 2], [1]],
        "ratings": [[3.0, 4.0, 1.5, 5.0], [2.0]],
    }
    assert arranger.summary()["items"] == 5


def test_vectors_keep_their_size(arrange, tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text('{"item": "x", "look": [1, 2, 3]}\n{"item": "y", "look": [4, 5, 6]}\n')
    arrange(*LOG, items=str(items))
    table, kinds = read_table(tmp_path / "tables" / "items.parquet")
    assert kinds == {"look": "vector"}
    assert str(table.schema.field("look").type) == "fixed_size_list<element: float>[3]"
    assert table.column("look").to_pylist() == [[1, 2, 3], [4, 5, 6], None, None]


def test_items_that_cleaning_left_out_do_not_come_back(arrange, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item,title\nw,Worn\nnew,Novelty\n")
    arrange(*LOG, items=str(items), min_rating=2.0)
    table, _ = read_table(tmp_path / "tables" / "items.parquet")
    assert table.column("item").to_pylist() == ["x", "y", "z", "new"]


def test_a_session_is_known_by_what_is_known_of_its_user(arrange, tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("user,age\nann,40\n")
    events = [("ann", "x", 1.0, 0.0), ("ann", "y", 1.0, 9e3), ("bob", "x", 1.0, 0.0)]
    arrange(*events, users=str(users), session_gap_hours=1.0)
    table, _ = read_table(tmp_path / "tables" / "users.parquet")
    assert table.to_pydict() == {"user": ["ann#1", "ann#2", "bob#1"], "age": [40.0, 40.0, None]}


def test_a_held_out_user_has_its_first_half_to_look_at(arrange):
    events = [(f"u{user}", f"i{n}", 1.0, float(n)) for user in range(60) for n in range(4)]
    _, rows = arrange(*events, protocol="cold-users")
    trained = {row.fields["user"] for row in rows if row.split == "train"}
    held_out = [row.fields for row in rows if row.split == "test"]
    assert held_out and not trained & {fields["user"] for fields in held_out}
    assert all((fields["items"], fields["targets"]) == ([0, 1], [2, 3]) for fields in held_out)


def test_named_splits(arrange):
    splits = ["train", "train", "validation", "test", "train"]
    _, rows = arrange(*LOG, splits=splits)
    found = {(row.split, row.fields["user"]): row.fields for row in rows}
    assert found["test", "ann"]["targets"] == [2]
    assert found["validation", "ann"]["targets"] == [1]
    assert found["train", "ann"]["items"] == [0, 3]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([("ann", "x"), ("ann", "y")], "all events are of one user, 'ann'"),
        ([("ann", "x"), ("bob", "x")], "all events are with one item, 'x'"),
    ],
)
def test_logs_with_nothing_to_learn(arrange, events, message):
    with pytest.raises(DataError, match=message):
        arrange(*events)


def test_ratings_with_nothing_to_learn(arrange):
    with pytest.raises(DataError, match="all ratings are 3: nothing to learn"):
        arrange(("ann", "x", 3.0), ("bob", "y", 3.0), rated=True)
    with pytest.raises(DataError, match="the log has no ratings to train on"):
        arrange(("ann", "x"), ("bob", "y"), rated=True)


def test_options_that_need_the_items_file(arrange):
    with pytest.raises(UsageError, match="--unknown-items: there is no items file"):
        arrange(*LOG, unknown_items="drop")
    with pytest.raises(UsageError, match="--item-kinds: no file has attributes"):
        arrange(*LOG, item_kinds=["title=text"])


def test_what_only_a_part_of_the_events_has_is_reported(arrange):
    arranger, _ = arrange(("ann", "x", 3.0), ("ann", "y"), ("bob", "x", 1.0))
    found = {finding.check: finding for finding in arranger.findings()}
    assert found["ratings of events"].grade == "warning"


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "d"]),
            st.sampled_from(["v", "w", "x", "y", "z"]),
            st.floats(1, 5, width=16),
            st.integers(0, 50).map(float),
        ),
        min_size=1,
        max_size=40,
    ),
    protocol=st.sampled_from(["leave-one-out", "time", "ratio", "cold-users", "cold-items"]),
    history=st.sampled_from(["all", "train"]),
)
def test_every_event_is_in_the_rows_once(tmp_path_factory, events, protocol, history):
    items = (Row(dict(zip(("user", "item", "rating", "time"), e, strict=True)), "l", 1)
             for e in events)  # fmt: skip
    reading = RecommendReading(protocol=protocol, test_history=history)
    tables = tmp_path_factory.mktemp("tables")
    try:
        rows = list(grouped(items, reading, tables=tables))
    except DataError:
        return  # too little
    last = {(user, item): rating for user, item, rating, _ in sorted(events, key=lambda e: e[3])}
    names = parquet.read_table(tables / "items.parquet").column("item").to_pylist()
    told = {}
    for row in rows:
        fields = row.fields
        assert len(fields["items"]) == len(fields["ratings"]) == len(fields["times"])
        assert (np.diff(fields["times"]) >= 0).all()
        assert not set(fields["targets"]) & {*fields["items"], *fields["seen"]}
        pairs = [*zip(fields["items"], fields["ratings"], strict=True)]
        pairs += zip(fields["targets"], fields["target_ratings"], strict=True)
        told |= {(fields["user"], names[item]): rating for item, rating in pairs}
    assert told == pytest.approx(last)


def test_what_completes_the_tables_is_done_once_before_the_first_row(tmp_path):
    done = []
    items = [
        Refusal("log.csv", 1, "bad"),
        *(Row({"user": user, "item": item}, "log.csv", 2) for user in "ab" for item in "xyz"),
    ]
    reading = RecommendReading()
    stream = iter(grouped(items, reading, tables=tmp_path, complete=lambda: done.append(1)))
    assert next(stream) == items[0] and done == []
    assert isinstance(next(stream), Row) and done == [1]
    assert all(isinstance(row, Row) for row in stream) and done == [1]
