"""The inspector: each fault of the data is found, graded and placed."""

import json

import pytest

from aitk.core.contract.rows import Row
from aitk.nlp.data.options import ClassifyReading
from aitk.nlp.data.quality import TextInspector


def inspect(rows, *, labelled=True):
    """An inspector of (text, label, split) rows, their lines numbered from 1."""
    inspector = TextInspector(ClassifyReading(), labelled=labelled)
    for line, (text, label, split) in enumerate(rows, 1):
        inspector.add(Row({"text": text, "label": label}, "a.csv", line), split)
    return inspector


def finding(rows, check):
    return {item.check: item for item in inspect(rows).findings()}[check]


GOOD = [(f"what is number {i}", "xy"[i % 2], "train") for i in range(100)]
HELD_OUT = [(f"tell me about {i}", "xy"[i % 2], "test") for i in range(100)]


def test_sound_data_has_nothing_but_ok():
    assert {item.grade for item in inspect(GOOD + HELD_OUT).findings()} == {"ok"}


def test_duplicates_in_a_split():
    found = finding([*GOOD, ("What is  number 7", "y", "train")], "duplicates")
    assert (found.grade, found.details["rows"]) == ("warning", 1)
    assert found.details["examples"] == ["a.csv:101"]


@pytest.mark.parametrize(("leaked", "grade"), [(0, "ok"), (1, "warning"), (5, "error")])
def test_leakage_is_an_error_above_one_percent(leaked, grade):
    rows = GOOD + HELD_OUT + [(text, label, "test") for text, label, _ in GOOD[:leaked]]
    found = finding(rows, "duplicates across splits")
    assert (found.grade, found.details["rows"]) == (grade, leaked)


def test_leakage_between_the_held_out_splits():
    rows = [*GOOD, *HELD_OUT, ("tell me about 3", "y", "validation")]
    assert finding(rows, "duplicates across splits").details["examples"] == ["a.csv:104"]


@pytest.mark.parametrize(("conflicts", "grade"), [(1, "warning"), (10, "error")])
def test_conflicting_labels(conflicts, grade):
    rows = GOOD + [(text, "z", split) for text, _, split in GOOD[:conflicts]]
    found = finding(rows, "conflicting labels")
    assert (found.grade, found.details["rows"]) == (grade, 2 * conflicts)
    assert found.details["examples"][:2] == ["a.csv:1", "a.csv:101"]


def test_label_typos():
    labels = ["Late parcel", "late_parcel", "-1", "1", "c", "c++"]
    rows = [(f"text {i}", label, "train") for i, label in enumerate(labels)]
    assert finding(rows, "label typos").details["alike"] == [["Late parcel", "late_parcel"]]


def test_rare_classes_and_balance():
    rows = [*GOOD, *[(f"rare {i}", "z", "train") for i in range(4)]]
    assert finding(rows, "rare classes").details["rows"] == {"z": 4}
    found = finding(rows, "balance")
    assert (found.grade, found.details["ratio"]) == ("warning", 12.5)


@pytest.mark.parametrize(("unseen", "grade"), [(1, "warning"), (5, "error")])
def test_labels_unseen_in_training(unseen, grade):
    rows = GOOD + HELD_OUT + [(f"new {i}", "z", "test") for i in range(unseen)]
    found = finding(rows, "unseen labels")
    assert (found.grade, found.details["labels"]) == (grade, {"z": unseen})


def test_one_class_only_is_an_error():
    assert finding([("a b", "x", "train"), ("c d", "x", "train")], "classes").grade == "error"


def test_texts_without_words_and_long_ones():
    rows = [*GOOD, ("?!", "x", "train"), ("word " * 500, "x", "train"), ("字" * 401, "x", "train")]
    assert finding(rows, "texts without words").details["rows"] == 1
    assert finding(rows, "long texts").details["rows"] == 2


def test_mixed_languages():
    rows = [*GOOD, *[(f"问题{i}在哪里", "x", "train") for i in range(20)]]
    found = finding(rows, "languages")
    assert found.grade == "warning"
    assert found.details["languages"]["zh"] == 20


def test_summary():
    summary = inspect([("a b", "y", "train"), ("ccc", "x", "train"), ("d", "z", "test")]).summary()
    assert summary["rows"] == {"train": 2, "test": 1}
    assert summary["labels"] == ["x", "y"]
    assert summary["label_counts"] == {"train": {"x": 1, "y": 1}, "test": {"z": 1}}
    assert summary["lengths"]["characters"]["longest"] == 3
    assert summary["charts"]["words_in_a_text"] == {"x": [1.2, 1.8], "y": [2, 1]}
    json.dumps(summary)


def test_texts_without_labels_and_no_rows_at_all():
    inspector = inspect([("First Citizen", None, "train")], labelled=False)
    assert "labels" not in inspector.summary()
    assert {item.check for item in inspector.findings()} >= {"duplicates", "long texts"}
    empty = inspect([])
    assert empty.summary()["labels"] == []
    json.dumps([item.details for item in empty.findings()])


@pytest.mark.parametrize("text", ["cafÃ© au lait", "itâ€™s late", "lost \ufffd here"])
def test_texts_that_were_decoded_wrongly_are_reported(text):
    found = finding([("a plain café", "x", "train"), (text, "y", "train")], "garbled characters")
    assert (found.grade, found.details["rows"]) == ("warning", 1)


def test_words_for_a_missing_text_are_reported():
    rows = [("nan", "x", "train"), ("none", "y", "train")]
    assert finding(rows, "missing texts").details["rows"] == 1
