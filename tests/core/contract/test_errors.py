"""Messages of errors: one line, bounded, without what a terminal would obey."""

from aitk.core.contract.errors import UsageError


def test_a_message_is_one_line_of_what_where_and_hint():
    error = UsageError("cannot be\nread", where="rows.csv:3", hint="Save it as UTF-8")
    assert error.line == "rows.csv:3: cannot be read. Save it as UTF-8"


def test_a_very_long_value_is_shown_by_its_ends():
    line = UsageError(f"cannot read {'a' * 70_000}b", where="c" * 70_000).line
    assert len(line) < 2500
    assert line.startswith("ccc")
    assert line.endswith("aab")
