"""Questions from every format, and what is refused."""

import json

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.nlp.data.options import QaReading
from aitk.nlp.data.qa_reading import NOT_IN_CONTEXT, ask_about, locate, read_questions

CONTEXT = "Ann lives in Porto. Tom lives in Leeds, near Ann."


def read(path, content, *, labelled=True, **reading):
    path.write_text(content, encoding="utf-8")
    notes = []
    items = read_questions([str(path)], QaReading(**reading), labelled=labelled, note=notes.append)
    return list(items), notes


def squad(*questions):
    paragraph = {"context": CONTEXT, "qas": list(questions)}
    return json.dumps({"version": "v2.0", "data": [{"title": "x", "paragraphs": [paragraph]}]})


QUESTION = {
    "id": "1",
    "question": "Where does Ann live?",
    "answers": [{"text": "Porto", "answer_start": 13}],
}
FLAT = {"context": CONTEXT, "question": "Where does Ann live?"}


@pytest.mark.parametrize(
    "content",
    [
        squad(QUESTION),
        json.dumps([{"context": CONTEXT, "qas": [QUESTION]}]),
        json.dumps(FLAT | {"answers": {"text": ["Porto"], "answer_start": [13]}}),
        json.dumps(FLAT | {"answers": {"text": ["Porto"]}}),
        json.dumps(FLAT | {"answers": ["Porto"]}),
        json.dumps(FLAT | {"answer": "Porto"}),
        json.dumps(FLAT | {"answer": "Porto", "answer_start": 13}),
        json.dumps([FLAT | {"answers": [{"text": " Porto ", "answer_start": 12}]}]),
    ],
)
def test_every_kind_of_record_gives_the_same_row(tmp_path, content):
    (row,), _ = read(tmp_path / "x.json", content)
    assert row.fields["context"] == CONTEXT
    assert row.fields["question"] == "Where does Ann live?"
    assert (row.fields["answers"], row.fields["answer_starts"]) == (["Porto"], [13])


@pytest.mark.parametrize(
    "answers", [{"answers": []}, {"answers": [], "is_impossible": True}, {"answer": ""}]
)
def test_questions_without_an_answer_are_rows(tmp_path, answers):
    (row,), _ = read(tmp_path / "x.jsonl", json.dumps(FLAT | answers))
    assert row.fields["answers"] == [] and row.fields["answer_starts"] == []


def test_an_answer_at_another_position_is_found_and_counted(tmp_path):
    assert locate(CONTEXT, "Ann", 40) == 45 and locate(CONTEXT, "Ann", None) == 0
    answers = {"answers": [{"text": "Leeds", "answer_start": 2}]}
    (row,), notes = read(tmp_path / "x.jsonl", json.dumps(FLAT | answers))
    assert row.fields["answer_starts"] == [CONTEXT.index("Leeds")]
    assert "1 answers had wrong positions" in notes[-1]


def test_a_further_answer_that_is_not_in_the_context_counts_in_scores_alone(tmp_path):
    answers = {"answers": [{"text": "Rome", "answer_start": 2}, {"text": "Leeds"}]}
    (row,), notes = read(tmp_path / "x.jsonl", json.dumps(FLAT | answers))
    assert row.fields["answers"] == ["Leeds", "Rome"]
    assert row.fields["answer_starts"] == [CONTEXT.index("Leeds"), NOT_IN_CONTEXT]
    assert "1 questions" in notes[-1]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (FLAT | {"answer": "Rome"}, "answer 'Rome' does not occur in its context"),
        (FLAT, "no answers"),
        (FLAT | {"answers": {"text": ["Porto"], "answer_start": [1, 2]}}, "1 answers and 2 starts"),
        (FLAT | {"answers": [{"text": "Porto", "answer_start": "x"}]}, "whole number"),
        (FLAT | {"answers": [{"answer_start": 1}]}, "no text"),
        ({"question": "Where?", "answer": "x"}, "no context"),
        ({"context": CONTEXT, "question": " ", "answer": "Ann"}, "no question"),
        ({"paragraphs": [{"context": CONTEXT}]}, "no list of questions"),
        ([1], "not an object"),
    ],
)
def test_bad_records_are_refused_with_a_reason(tmp_path, record, reason):
    good = json.dumps(FLAT | {"answer": "Porto"})
    items, _ = read(tmp_path / "x.jsonl", f"{good}\n{json.dumps(record)}\n{good}")
    assert isinstance(items[0], Row) and isinstance(items[2], Row)
    assert isinstance(items[1], Refusal) and items[1].line == 2
    assert reason in items[1].reason


def test_a_refusal_names_its_question_and_cut_json_its_line(tmp_path):
    bad = QUESTION | {"id": "q7", "answers": [{"text": "Rome", "answer_start": 0}]}
    items, _ = read(tmp_path / "x.json", squad(QUESTION, bad))
    assert "question q7" in items[1].reason
    items, _ = read(tmp_path / "x.json", squad(QUESTION)[:-20])
    assert "truncated" in items[-1].reason


def test_a_question_is_asked_about_a_text_file(tmp_path):
    (tmp_path / "page.txt").write_text(CONTEXT, encoding="utf-8")
    row = ask_about(str(tmp_path / "page.txt"), " Who? ", QaReading())
    assert row.fields == {"id": "", "context": CONTEXT, "question": "Who?"}
    assert row.record == {"question": "Who?"}
    with pytest.raises(UsageError, match="empty"):
        ask_about(str(tmp_path / "page.txt"), " ", QaReading())
    with pytest.raises(DataError, match="no such file"):
        ask_about(str(tmp_path / "none.txt"), "Who?", QaReading())


def test_a_question_loses_its_personal_data(tmp_path):
    (tmp_path / "page.txt").write_text("Write to ann@example.com.", encoding="utf-8")
    row = ask_about(
        str(tmp_path / "page.txt"), "Is bob@example.com Bob?", QaReading(redact=["email"])
    )
    assert "ann@" not in row.fields["context"] and "bob@" not in row.fields["question"]


def test_a_text_file_holds_no_questions(tmp_path):
    with pytest.raises(DataError, match="--question"):
        read(tmp_path / "q.txt", "Who?\n", labelled=False)


def test_predictions_carry_the_record_along(tmp_path):
    (row,), _ = read(tmp_path / "x.jsonl", json.dumps(FLAT | {"mine": 3}), labelled=False)
    assert row.record["mine"] == 3 and "answers" not in row.fields
    (row,), _ = read(tmp_path / "x.json", squad(QUESTION), labelled=False)
    assert row.record == {"id": "1", "question": "Where does Ann live?"}
