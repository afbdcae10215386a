"""Answers as the text of a file."""

import csv
import io
import json

from aitk.core.answer_lines import CsvLines, JsonLines


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
