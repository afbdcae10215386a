"""Predictions as lines of text."""

from aitk.nlp.data.formats.text_lines import TextLines


def test_lines_stay_aligned_with_those_of_the_source():
    rows = [
        {"source": "ja", "prediction": "yes"},
        {"line": 2, "error": "its source is empty"},
        {"source": "zwei\nZeilen", "prediction": "two\nlines\u2028more"},
    ]
    lines = TextLines()
    assert lines.format(rows) + lines.tail() == "yes\n\ntwo lines more\n"


def test_no_text_file_may_be_replaced():
    assert not TextLines().recognises("yes\n", ("prediction",))
