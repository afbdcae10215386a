"""Rows of text, bytes and arrays pass through a line of JSON unchanged."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.io.spool import dump_line, load_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_rows_are_restored_exactly(value):
    line = dump_line(value)
    assert "\n" not in line
    assert load_line(line, where="rows") == value


@pytest.mark.parametrize("array", [np.zeros((0, 4), np.float32), np.arange(6).reshape(2, 3)])
def test_an_array_keeps_its_shape_and_type(array):
    back = load_line(dump_line({"boxes": array}), where="rows")["boxes"]
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


def test_the_text_is_that_of_json_where_json_suffices():
    value = {"b": "ü", "a": [1, 2.5]}
    assert dump_line(value) == json.dumps(value, ensure_ascii=False)
    assert dump_line(value, sort_keys=True) == json.dumps(value, sort_keys=True)


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="a row has a set"):
        dump_line({"x": {1}})
