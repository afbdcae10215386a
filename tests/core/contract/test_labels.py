"""Labels and ids that look alike are one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.labels import (
    LabelReader,
    MultiLabelReading,
    NameReader,
    normalise,
    read_name,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("良い\u200b", "良い"),
        ("\ufeffpos", "pos"),
        ("po\u00ads", "pos"),
        ("pos\u200e", "pos"),
        ("caf\u0065\u0301", "café"),
        ("late\u00a0delivery ", "late delivery"),
        ("two\t words", "two words"),
        ("5.0", "5"),
        ("-1.00", "-1"),
        ("\u200d👍\u200d", "👍"),
    ],
)
def test_what_cannot_be_seen_makes_no_other_label(written: str, meant: str) -> None:
    assert normalise(written) == meant


@pytest.mark.parametrize(
    "kept", ["007", "0.50", "1.5", "05.0", "👨\u200d👩\u200d👧", "می\u200cخواهم"]
)
def test_codes_fractions_and_joined_characters_stay(kept: str) -> None:
    assert normalise(kept) == kept


@pytest.mark.parametrize("value", [None, "", " ", "\u200b", float("nan")])
def test_nothing_is_no_label(value: object) -> None:
    assert read_name(value, "label")[1]


@pytest.mark.parametrize(
    "word", ["NULL", "nan", "NaN", "None", "N/A", "NA", "null", "\\N", " nan "]
)
def test_a_word_for_a_missing_value_is_no_user(word: str) -> None:
    assert "--keep-na" in (read_name(word, "user")[1] or "")
    assert read_name(word, "user", keep_na=True) == (word.strip(), None)


def test_none_in_small_letters_is_a_class() -> None:
    assert read_name("none", "label") == ("none", None)


def test_numbers_and_their_texts_are_one() -> None:
    assert {read_name(value, "item")[0] for value in (5, 5.0, "5", "5.0", " 5.00")} == {"5"}


def test_a_reader_counts_what_it_changed() -> None:
    names = NameReader()
    for value in ("pos", "pos\u200b", "5.0", 5.0, " neg "):
        names.read(value, "label")
    assert names.notes("a.csv")[0].startswith("a.csv: 3 label values normalised")
    assert not NameReader().notes("a.csv")


def test_a_list_of_one_label_is_that_label() -> None:
    assert read_name(["pos"], "label") == ("pos", None)
    assert read_name(["pos", "new"], "label")[1]


@given(st.text(max_size=20))
def test_a_normalised_label_stays_as_it_is(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def read_labels(value, **options):
    """The fields of a value, or why it has none."""
    reader = LabelReader(MultiLabelReading(**options), NameReader())
    fields, problem = reader.read({"labels": value}, ["labels"])
    return problem or fields


def test_one_label_is_required_except_for_multi_label_rows():
    assert read_labels(" a ") == {"label": "a"}
    assert "--multi-label" in read_labels(["a", "b"])


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("a| b |a", {"label_separator": "|"}),
        (["a", "b"], {"label_separator": "|"}),
        (["a", "b", "a"], {"multi_label": True}),
        ('["a", "b"]', {"multi_label": True}),
    ],
)
def test_several_labels_are_read_once_each_in_order(value, options):
    assert read_labels(value, **options) == {"labels": ["a", "b"]}


@pytest.mark.parametrize("value", ["", [], " "])
def test_a_row_without_labels_needs_an_empty_list(value):
    assert read_labels(value, multi_label=True) == {"labels": []}
    assert "no labels" in read_labels(None, multi_label=True)


def test_one_of_several_labels_must_be_a_name_too():
    assert "missing value" in read_labels("a|NULL", label_separator="|")
    assert "list" in read_labels([["a", "b"]], multi_label=True)


def test_columns_of_their_own_hold_one_or_zero():
    reading = MultiLabelReading(label_columns=["late", "rude"])
    reader = LabelReader(reading, NameReader())

    def read(late, rude):
        fields, problem = reader.read({"late": late, "rude": rude}, ["late", "rude"])
        return problem or fields["labels"]

    assert read(1, 0.0) == ["late"]
    assert read("true", "Yes") == ["late", "rude"]
    assert read("", None) == []
    assert read(0.7, 0) == "its label 'late' is '0.7', not 0 or 1"
