"""Error rates: by hand, against jiwer, and what any alignment must fulfil."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.speech.metrics.wer import (
    Errors,
    align,
    characters,
    count_errors,
    rates_by_group,
    score_transcripts,
    words,
)

SENTENCES = st.lists(st.sampled_from("a b c d".split()), max_size=9)


def test_each_kind_of_error_is_counted():
    errors = count_errors(words("call me a taxi now"), words("call be a red taxi"))
    assert errors == Errors(substitutions=1, deletions=1, insertions=1, length=5)
    assert errors.rate == pytest.approx(3 / 5)


def test_an_alignment_shows_substitutions():
    steps = align(words("one two three"), words("one too three four"))
    assert [(step.kind, step.reference, step.hypothesis) for step in steps] == [
        ("equal", "one", "one"),
        ("substitution", "two", "too"),
        ("equal", "three", "three"),
        ("insertion", "", "four"),
    ]


@given(SENTENCES, SENTENCES)
def test_an_alignment_spells_both_sides(result, heard):
    steps = align(result, heard)
    assert [step.reference for step in steps if step.kind != "insertion"] == result
    assert [step.hypothesis for step in steps if step.kind != "deletion"] == heard


@given(SENTENCES, SENTENCES)
def test_errors_are_as_few_as_a_plain_recursion_finds(result, heard):
    from functools import cache

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        replaced = distance(i - 1, j - 1) + (result[i - 1] != heard[j - 1])
        return min(replaced, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    assert count_errors(result, heard).total == distance(len(result), len(heard))


@given(st.lists(st.tuples(SENTENCES.filter(len), SENTENCES), min_size=1, max_size=4))
def test_rates_are_those_of_jiwer(pairs):
    import jiwer

    result = [" ".join(a) for a, _ in pairs]
    heard = [" ".join(b) for _, b in pairs]
    metrics, per_row, _ = score_transcripts(result, heard)
    assert metrics["wer"].value == pytest.approx(jiwer.wer(result, heard))
    assert metrics["cer"].value == pytest.approx(jiwer.cer(result, heard))
    assert per_row == pytest.approx(
        [jiwer.wer(a, b) for a, b in zip(result, heard, strict=True)], abs=1e-6
    )


@given(SENTENCES.filter(len), SENTENCES)
def test_errors_of_each_kind_are_those_of_jiwer(result, heard):
    import jiwer

    expected = jiwer.process_words(" ".join(result), " ".join(heard))
    errors = count_errors(result, heard)
    assert errors == Errors(
        expected.substitutions, expected.deletions, expected.insertions, len(result)
    )
    assert sum(step.kind == "equal" for step in align(result, heard)) == expected.hits


def test_blanks_beyond_one_are_no_characters():
    assert characters(" a  b ") == ["a", " ", "b"]


def test_an_empty_reference_matches_only_an_empty_hypothesis():
    assert count_errors([], []).rate == 0
    assert count_errors([], ["a", "b"]).rate == 1


def test_intervals_are_over_utterances():
    result, heard = ["a b"] * 40, ["a b"] * 30 + ["a c"] * 10
    metrics, _, details = score_transcripts(result, heard, resamples=500)
    wer = metrics["wer"]
    assert wer.value == pytest.approx(10 / 80)
    assert wer.low < wer.value < wer.high
    assert metrics["sentence_errors"].value == pytest.approx(1 / 4)
    assert details["errors"]["words"] == {
        "substitutions": 10, "deletions": 0, "insertions": 0, "length": 80,
    }  # fmt: skip
    first = details["tables"]["Most frequent errors"][0]
    assert first == {"error": "substitution", "reference": "b", "hypothesis": "c", "times": 10}


def test_groups_have_rates_of_their_own():
    table = rates_by_group(["a b", "a", "c"], ["a b", "b", "c"], ["anna", "ben", "anna"])
    assert [(line["group"], line["rows"], line["wer"]) for line in table] == [
        ("anna", 2, 0.0),
        ("ben", 1, 1.0),
    ]


def test_no_words_cannot_be_scored():
    with pytest.raises(DataError, match="no words"):
        score_transcripts([], [])
    with pytest.raises(DataError, match="no words"):
        score_transcripts([""], ["a"])


def test_long_sequences_are_quick():
    rng = np.random.default_rng(0)
    result = rng.integers(0, 30, 2000).tolist()
    heard = [unit for unit in result if unit != 7]
    assert count_errors(result, heard).total == result.count(7)
