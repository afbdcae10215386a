"""Encodings as the user names them."""

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.io.encodings import check
from aitk.core.io.lines import open_lines


@pytest.mark.parametrize(
    "name",
    ["zip", "rot13", "base64", "idna", "punycode", "unicode_escape", "Unicode-Escape", "undefined",
     "nope", "", "a\0b", "é", "x" * 5000],
)  # fmt: skip
def test_what_is_no_encoding_of_files_is_refused(name):
    with pytest.raises(UsageError, match="unknown encoding"):
        check(name)


@pytest.mark.parametrize("name", [None, "utf-8", "UTF8", "utf-16-le", "gb18030", "cp037", "utf-7"])
def test_given_encodings_are_used(name):
    check(name)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_without_the_mark_that_its_encoding_needs_is_bad_data(encoding):
    with pytest.raises(DataError, match=f"is not {encoding}"):
        open_lines("a.csv", encoding=encoding, content=b"text,label\nab,c\n")


def test_blank_lines_before_the_first_are_not_looked_at():
    lines = open_lines("a.csv", content=b"\n" * 3000 + b"text,label\na,b\n")
    assert lines.head == ["text,label\n", "a,b\n"]
    assert sum(1 for _ in lines) == 3002
