"""Queries: users, histories and items, and what is refused."""

import pytest

from aitk.core.contract.rows import Refusal
from aitk.recsys.data.options import RateReading, RecommendReading
from aitk.recsys.data.queries import read_queries


@pytest.fixture
def write(tmp_path):
    """Write a file below the test's folder, return its name."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file


def ignore(sentence):
    """Take a note and forget it."""


def ask(*sources, kind=RecommendReading, **options):
    """The fields of questions, refusals as their reason."""
    rows = read_queries(sources, kind(**options), note=ignore)
    return [row.reason if isinstance(row, Refusal) else row.fields for row in rows]


def test_questions_of_users_histories_and_items(write):
    assert ask(write("a.txt", "ann\n\nx y\n")) == [{"user": "ann"}, {"history": ["x", "y"]}]
    assert ask(write("a.csv", 'user,history\nann,\n,x y\n,"[""x"", ""y z""]"\n,\n')) == [
        {"user": "ann"},
        {"history": ["x", "y"]},
        {"history": ["x", "y z"]},
        "it has no user, history or item",
    ]
    lines = '{"history": [1, "b"], "ratings": [5, 2]}\n{"item": "b"}\n{"history": []}\n'
    assert ask(write("a.jsonl", lines)) == [
        {"history": ["1", "b"], "ratings": [5.0, 2.0]},
        {"item": "b"},
        {"history": []},
    ]
    assert ask(write("b.csv", "ann\nbob\n")) == [{"user": "ann"}, {"user": "bob"}]


def test_questions_carry_their_record(write):
    source = write("a.jsonl", '{"user": 7, "note": "vip"}\n')
    (row,) = read_queries([source], RecommendReading(), note=ignore)
    assert row.record == {"user": 7, "note": "vip"}


def test_a_rating_is_asked_of_an_item(write):
    source = write("a.csv", "user,item\nann,x\nann,\n")
    assert ask(source, kind=RateReading) == [
        {"user": "ann", "item": "x"},
        "it has no item to rate",
    ]


def test_refused_questions(write):
    lines = '{"history": {"a": 1}}\n{"history": ["a", null]}\n{"history": ["a"], "ratings": [1, 2]}'
    assert ask(write("a.jsonl", lines)) == [
        "its history is a dict, not a list",
        "its history: it has no item",
        "2 ratings for 1 items of its history",
    ]


def test_columns_of_training_may_be_missing_in_questions(write):
    source = write("a.csv", "history\nx y\n")
    assert ask(source, user_column="who") == [{"history": ["x", "y"]}]
