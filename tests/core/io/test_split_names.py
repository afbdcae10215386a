"""Splits in the names of files and folders."""

import pytest

from aitk.core.io.names import split_named


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("my_test.csv", "test"),
        ("train2017", "train"),
        ("reviews-eval.jsonl", "validation"),
        ("holdout.csv", "test"),
        ("latest.csv", None),
        ("train_test.csv", None),
    ],
)
def test_a_whole_word_names_the_split(name, split):
    assert split_named(name) == split
