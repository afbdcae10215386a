"""Answers as the text of a file."""

import csv
import io
import json

import pytest

from aitk.core.answer_lines import CsvLines, JsonLines, wrote


def test_json_lines_are_one_object_each():
    text = JsonLines().format([{"a": "ü"}, {"b": [1]}])
    assert [json.loads(line) for line in text.splitlines()] == [{"a": "ü"}, {"b": [1]}]
    assert "ü" in text


def test_csv_begins_with_its_columns_and_goes_on_without():
    lines = CsvLines()
    assert lines.format([{"a": 1, "b": [1, 2]}]) == 'a,b,line,error\n1,"[1, 2]",,\n'
    assert lines.format([{"a": 2, "c": 3}]) == "2,,,\n"
    assert lines.left_out == {"c"}


def test_csv_takes_its_columns_from_good_rows():
    lines = CsvLines()
    lines.format([{"line": 2, "error": "no"}, {"text": "x", "prediction": "y"}])
    assert lines.columns == ["text", "prediction", "line", "error"]


def test_a_carriage_return_in_a_cell_reads_back():
    cells = ["a\rb", "a\nb", "a\r\nb", 'say "a"', "plain"]
    lines = CsvLines()
    text = "".join(lines.format([{"text": cell}]) for cell in cells)
    read = csv.DictReader(io.StringIO(text, newline=""))
    assert [row["text"] for row in read] == cells


ANSWER = {"text": "a", "prediction": "up"}


@pytest.mark.parametrize(
    ("kind", "names", "head", "known"),
    [
        (JsonLines, ["prediction"], [ANSWER, {"line": 2, "error": "no text"}], True),
        (JsonLines, ["text", "confidence"], [{"text": "a", "predicted_text": "b"}], False),
        (JsonLines, ["prediction"], [ANSWER, {"text": "a", "label": "up"}], False),
        (JsonLines, ["prediction"], [], False),
        (JsonLines, ["boxes.score"], [{"boxes": []}, {"boxes": [{"score": 1}]}], True),
        (JsonLines, ["boxes.score"], [{"boxes": [{"box": [0, 0, 1, 1]}]}], False),
        (CsvLines, ["prediction"], "text,prediction,probability,line,error\n", True),
        (CsvLines, ["prediction"], "text,prediction\n", False),
        (CsvLines, ["prediction"], "notes\n", False),
    ],
)
def test_a_file_of_answers_is_known_by_its_content(tmp_path, kind, names, head, known):
    path = tmp_path / "out"
    text = head if isinstance(head, str) else "".join(json.dumps(row) + "\n" for row in head)
    path.write_text(text, encoding="utf-8")
    assert wrote(path, kind(), names) is known


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[1]\n", b"not JSON\n", b"\0" * 100_000])
def test_a_file_of_something_else_is_not(tmp_path, content):
    path = tmp_path / "out"
    path.write_bytes(content)
    assert not wrote(path, JsonLines(), ["prediction"])
    assert not wrote(path, CsvLines(), ["prediction"])
