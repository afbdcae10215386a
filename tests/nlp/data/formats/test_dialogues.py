"""Dialogues: both layouts, roles in order, and what is refused."""

from __future__ import annotations

import json

import pytest

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.nlp.data.formats.dialogues import check_messages, holds_dialogues, read_dialogues
from aitk.nlp.data.options import TextReading

OPENAI = {"messages": [{"role": "user", "content": " Hi "}, {"role": "assistant", "content": "Ho"}]}
SHAREGPT = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}


def write(path, *records):
    path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("record", [OPENAI, SHAREGPT])
def test_both_layouts_give_the_same_row(record, tmp_path):
    source = write(tmp_path / "a.jsonl", record)
    assert holds_dialogues([source], None)
    (row,) = read_dialogues([source], TextReading(), labelled=True, note=print)
    assert row.fields["text"] == "user: Hi\nassistant: Ho"
    assert json.loads(row.fields["messages"]) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
    ]


def test_what_holds_no_dialogues_is_read_as_texts(tmp_path):
    texts = write(tmp_path / "a.jsonl", {"text": "Hi"})
    dialogues = write(tmp_path / "b.jsonl", OPENAI)
    assert not holds_dialogues([texts], None)
    with pytest.raises(DataError, match="does not contain dialogues"):
        holds_dialogues([texts, dialogues], None)


@pytest.mark.parametrize(
    ("roles", "problem"),
    [
        ("uu", "message 2 is from the user, not the assistant"),
        ("sua", None),
        ("usa", "message 2 is from the system"),
        ("au", "message 1 is from the assistant"),
        ("s", "only a system message"),
        ("u", "no reply"),
        ("x", "has the role 'x'"),
    ],
)
def test_roles_take_turns(roles, problem):
    names = {"u": "user", "a": "assistant", "s": "system"}
    messages = [{"role": names.get(each, each), "content": "text"} for each in roles]
    found, said = check_messages(messages, labelled=True)
    assert (problem is None) == bool(found)
    assert problem is None or problem in said


def test_rows_with_roles_out_of_order_or_without_text_are_refused_with_their_line(tmp_path):
    empty = {"messages": [{"role": "user", "content": " "}]}
    source = write(tmp_path / "a.jsonl", OPENAI, empty, {"messages": []}, {"other": 1})
    items = list(read_dialogues([source], TextReading(), labelled=True, note=print))
    refused = {item.line: item.reason for item in items if isinstance(item, Refusal)}
    assert list(refused) == [2, 3, 4]
    assert "message 1 is empty" in refused[2]


def test_cut_json_is_refused_at_its_line(tmp_path):
    source = write(tmp_path / "a.jsonl", OPENAI, SHAREGPT)
    (tmp_path / "a.jsonl").write_text((tmp_path / "a.jsonl").read_text()[:-30], encoding="utf-8")
    whole, cut = read_dialogues([source], TextReading(), labelled=True, note=print)
    assert whole.fields["text"] == "user: Hi\nassistant: Ho"
    assert isinstance(cut, Refusal) and (cut.line, "JSON" in cut.reason) == (2, True)


def test_a_question_may_be_predicted(tmp_path):
    source = write(tmp_path / "a.jsonl", {"messages": OPENAI["messages"][:1]})
    (row,) = read_dialogues([source], TextReading(), labelled=False, note=print)
    assert row.record["messages"][0]["content"] == " Hi "
