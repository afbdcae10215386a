"""Values of a log: lists as programs write them."""

import pytest

from aitk.recsys.data.values import read_list


@pytest.mark.parametrize(
    "cell",
    [
        "a b c",
        "a|b|c",
        "a;b;c",
        "a,b, c",
        '["a", "b", "c"]',
        "['a', 'b', 'c']",
        "['a' 'b'\n 'c']",
        "[a b c]",
    ],
)
def test_a_list_in_a_cell_is_read_as_programs_write_it(cell):
    assert read_list(cell) == ["a", "b", "c"]


def test_commas_in_words_between_spaces_are_no_delimiters():
    assert read_list("Doe,J Roe,R") == ["Doe,J", "Roe,R"]
