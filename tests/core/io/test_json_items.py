"""Records of JSON files, one at a time."""

import json

from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.rows import Refusal
from aitk.core.io.json_items import read_items
from aitk.core.io.lines import open_lines


def items(text: str, key: str | None = None) -> list:
    found = read_items(open_lines("x.json", content=text.encode()), key=key)
    return [item.reason if isinstance(item, Refusal) else item for item in found]


def test_a_list_gives_its_records_with_their_lines():
    assert items('[{"a": 1},\n {"b": "],\\""},\n{"c": [{}]}]') == [
        (1, {"a": 1}),
        (2, {"b": '],"'}),
        (3, {"c": [{}]}),
    ]


def test_json_lines_and_objects_of_several_lines_are_records():
    assert items('{"a": 1}\n\n{"b": 2}\n') == [(1, {"a": 1}), (3, {"b": 2})]
    assert items('{\n"a": 1\n}\n{\n"b": 2}') == [(1, {"a": 1}), (4, {"b": 2})]


def test_the_list_under_a_key_of_one_object_gives_its_records():
    text = '{"version": "data", "data": [{"a": 1},\n{"b": [2]}], "more": [3]}'
    assert items(text, "data") == [(1, {"a": 1}), (2, {"b": [2]})]


def test_json_lines_that_have_the_key_are_records_themselves():
    assert items('{"data": {"text": "x"}}\n{"data": 2}', "data") == [
        (1, {"data": {"text": "x"}}),
        (2, {"data": 2}),
    ]


def test_a_truncated_file_is_reported_and_complete_records_are_kept():
    first, cut = items('[{"a": 1},\n{"b": "tex')
    assert first == (1, {"a": 1}) and "truncated" in cut
    assert "truncated" in items('{"data": [{"a": 1}', "data")[-1]


def test_a_line_that_is_no_json_harms_no_other():
    assert items('{"a": 1}\n{"b": ]}\n{"c": 3}')[::2] == [(1, {"a": 1}), (3, {"c": 3})]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


RECORDS = st.lists(st.dictionaries(st.text(max_size=3), VALUES), min_size=1, max_size=4)


@given(RECORDS, st.booleans())
def test_any_list_of_objects_is_read_as_json_reads_it(records, indented):
    text = json.dumps(records, indent=1 if indented else None)
    assert [value for _, value in items(text)] == records
    assert [value for _, value in items(json.dumps({"data": records}), "data")] == records
