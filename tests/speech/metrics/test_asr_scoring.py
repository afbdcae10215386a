"""Scores of transcripts and the tables of where the errors are; jiwer is the referee."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.speech.features.tokenizers.units import learn_units
from aitk.speech.metrics.asr_scoring import score_recognition, show_errors
from aitk.speech.metrics.wer import align

SAID = ["call five nine", "pay bill two", "order one", "call five nine"]
HEARD = ["call nine nine", "pay bill", "order one oh one", "call five nine"]
UNITS = learn_units(SAID, kind="char")


def measured(said=SAID, heard=HEARD, **given):
    rows = len(said)
    values = {
        "reference": np.array(said, object),
        "hypothesis": np.array(heard, object),
        "speaker": np.array(["ada", "ben"] * (rows // 2) + ["ada"] * (rows % 2), object),
        "seconds": np.linspace(0.5, 2.5, rows),
        "took_s": np.full(rows, 0.1),
    }
    return values | given


def test_error_rates_are_those_of_jiwer():
    found = score_recognition(measured(), UNITS, resamples=200)
    assert found.metrics["wer"].value == pytest.approx(jiwer.wer(SAID, HEARD))
    assert found.metrics["cer"].value == pytest.approx(jiwer.cer(SAID, HEARD))
    assert next(iter(found.metrics)) == "wer"
    assert found.metrics["wer"].low is None  # so few sentences say nothing of others
    assert found.per_row == pytest.approx([1 / 3, 1 / 3, 1, 0])


texts = st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=5).map(" ".join)


@given(st.lists(st.tuples(texts, texts | st.just("")), min_size=1, max_size=4))
def test_counts_by_kind_add_up_as_in_jiwer(pairs):
    said, heard = [one for one, _ in pairs], [other for _, other in pairs]
    found = score_recognition(measured(said, heard), UNITS)
    theirs = jiwer.process_words(said, heard)
    ours = found.details["tables"]["Errors"][0]
    assert ours["substitutions"] + ours["deletions"] + ours["insertions"] == (
        theirs.substitutions + theirs.deletions + theirs.insertions
    )
    assert found.metrics["wer"].value == pytest.approx(theirs.wer)


def test_tables_show_where_the_errors_are():
    tables = score_recognition(measured(), UNITS).details["tables"]
    assert tables["Errors"][0] == {
        "of": "words", "substitutions": 1, "deletions": 1, "insertions": 2, "length": 11,
    }  # fmt: skip
    speakers = tables["By speaker, worst first"]
    assert [(row["group"], row["rows"], row["wer"]) for row in speakers] == [
        ("ada", 2, pytest.approx(3 / 5)),
        ("ben", 2, pytest.approx(1 / 6)),
    ]
    assert [row["group"].strip() for row in tables["By length"]] == [
        "0 to 1 s", "1 to 2 s", "2 to 4 s",
    ]  # fmt: skip
    assert tables["The worst utterances, aligned"][0]["aligned"] == "order one [+oh] [+one]"
    assert tables["Speed"][0]["seconds of audio"] == 6


def test_a_single_speaker_needs_no_table():
    alone = measured(speaker=np.array([""] * 4, object))
    assert not [
        name for name in score_recognition(alone, UNITS).details["tables"] if "peaker" in name
    ]


def test_units_unseen_in_training_are_reported():
    found = score_recognition(measured(said=["call zoe", "x", "x x", "ok"]), UNITS)
    assert found.details["tables"]["Not seen in training"] == [
        {"unit": "x", "times": 3}, {"unit": "z", "times": 1}, {"unit": "k", "times": 1},
    ]  # fmt: skip
    assert found.details["unwritable_rows"] == 4
    (warning,) = found.warnings
    assert warning.startswith("4 rows have a text without units in the model")
    assert score_recognition(measured(), UNITS).warnings == []


def test_an_alignment_is_shown_in_one_line():
    steps = align("call five nine two".split(), "call nine nine two oh".split())
    assert show_errors(steps) == "call [five>nine] nine two [+oh]"
    assert show_errors(align(["two"], [])) == "[-two]"
