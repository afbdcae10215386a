"""Each fault of a set of labels is found and graded."""

from __future__ import annotations

import pytest

from aitk.core.metrics.class_checks import (
    LabelTally,
    count_finding,
    find_label_typos,
    find_several_labels,
    find_single_class,
    find_unseen_labels,
)


@pytest.mark.parametrize(
    "labels",
    [
        ["pos,delivery", "neg,delivery", "pos"],
        ["a|b", "c"],
        ["['a', 'b']", "['a']"],
        ["a; b", "c; d"],
    ],
)
def test_labels_that_look_like_several_in_one_are_reported(labels: list[str]) -> None:
    found = find_several_labels(labels)
    assert found.grade == "warning" and repr(min(found.details["labels"])) in found.message


@pytest.mark.parametrize("labels", [["film, tv", "books"], ["pos", "neg"], ["1,5", "2,0"], []])
def test_a_comma_inside_a_name_is_no_second_label(labels: list[str]) -> None:
    assert find_several_labels(labels).grade == "ok"


def test_labels_that_differ_in_case_or_spaces_are_reported() -> None:
    assert find_label_typos(["Late", "late", "la te"]).details["alike"] == [
        ["Late", "la te", "late"]
    ]


def test_a_check_without_rows_is_skipped_and_not_ok() -> None:
    assert count_finding("duplicates", 0, 0, "rows that repeat another").grade == "skipped"
    nothing = {"train": {"a": 3}, "validation": {}, "test": {}}
    assert find_unseen_labels(nothing).grade == "skipped"


def test_a_label_of_its_own_for_every_row_is_an_error() -> None:
    assert find_single_class({str(row): 1 for row in range(30)}).grade == "error"
    assert find_single_class({"a": 15, "b": 15}).grade == "ok"


def tally(*rows):
    found = LabelTally()
    for fields, split in rows:
        found.add(fields, split)
    return found


def test_labels_are_counted_by_split():
    found = tally(({"label": "b"}, "train"), ({"label": "a"}, "train"), ({"label": "z"}, "test"))
    assert found.summary() == {
        "labels": ["a", "b"],
        "label_counts": {"train": {"a": 1, "b": 1}, "test": {"z": 1}},
    }


def test_several_labels_a_row_count_once_each():
    found = tally(
        ({"labels": ["b", "a"]}, "train"),
        ({"labels": ["a", "b"]}, "train"),
        ({"labels": ["a"]}, "train"),
        ({"labels": []}, "validation"),
    )
    assert found.summary() == {
        "labels": ["a", "b"],
        "label_counts": {"train": {"a": 3, "b": 2}, "validation": {}},
        "labels_per_row": {"0": 1, "1": 1, "2": 2},
    }
    assert len(set(found.numbers[:2])) == 1  # the order of labels says nothing
    (per_row,) = [each for each in found.findings() if each.check == "labels per row"]
    assert per_row.message == "1.25 labels per row in 3 combinations; 1 rows have none (25.0%)"


def test_one_label_is_enough_where_a_row_may_have_none():
    graded = {each.check: each.grade for each in tally(({"labels": ["a"]}, "train")).findings()}
    assert graded["classes"] == "ok"
    assert "several labels in one" not in graded
    graded = {each.check: each.grade for each in tally(({"label": "a"}, "train")).findings()}
    assert graded["classes"] == "error"
