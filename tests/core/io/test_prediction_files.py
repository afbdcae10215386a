"""Answers as the text of a file."""

import csv
import io
import json

import pytest

from aitk.core.io.prediction_files import CsvLines, JsonLines, wrote


def test_json_lines_are_one_object_each():
    text = JsonLines().format([{"a": "ü"}, {"b": [1]}])
    assert [json.loads(line) for line in text.splitlines()] == [{"a": "ü"}, {"b": [1]}]
    assert "ü" in text


def test_csv_begins_with_its_columns_and_continues_without():
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


FORMULAS = ["=1+1", "+1 555", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", "-", '=cmd|"/c calc"!A1']
NO_FORMULAS = ["-3.5", "+1e5", "-1", "a=b", "", "[-1]", "'=1", "1-2", -3, -0.5, None, [-1]]


def test_cells_that_a_spreadsheet_would_evaluate_begin_with_an_apostrophe():
    rows = [{"=text": cell} for cell in [*FORMULAS, *NO_FORMULAS]]
    header, *cells = csv.reader(io.StringIO(CsvLines().format(rows), newline=""))
    assert header[0] == "'=text"
    plain = ["" if cell is None else str(cell) for cell in NO_FORMULAS]
    assert [cell[0] for cell in cells] == ["'" + cell for cell in FORMULAS] + plain


def test_raw_cells_are_as_they_were():
    rows = [{"text": cell} for cell in FORMULAS]
    _, *cells = csv.reader(io.StringIO(CsvLines(raw=True).format(rows), newline=""))
    assert [cell[0] for cell in cells] == FORMULAS


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
def test_a_file_of_predictions_is_known_by_its_content(tmp_path, kind, names, head, known):
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
