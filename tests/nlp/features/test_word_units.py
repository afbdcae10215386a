"""Vocabularies of words, and the weights of the words of a text."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.nlp.features.word_units import (
    WordUnits,
    learn_word_units,
    load_word_units,
    ngram_table,
)

UNITS = WordUnits(("the", "cat"), (90, 10), total=100)


def learned(texts, **given):
    settings = {"lowercase": True, "min_count": 1, "vocabulary_size": 100} | given
    return learn_word_units(texts, SimpleNamespace(**settings))


def test_the_most_frequent_words_come_first_and_rare_ones_are_left_out():
    units = learned(["b a a", "A c c b rare"], min_count=2)
    assert units.words == ("a", "b", "c")
    assert units.counts == (3, 2, 2)
    assert units.total == 8


def test_characters_of_scripts_without_spaces_are_words():
    assert learned(["我要退货", "我要"]).words[:2] == ("我", "要")


def test_a_frequent_word_weighs_less_in_a_text_by_sif():
    ids, weights = UNITS.encode("The cat", 10, sif=0.1)
    assert ids.tolist() == [0, 1]
    expected = np.array([0.1 / 1.0, 0.1 / 0.2])
    assert weights == pytest.approx(expected / expected.sum())


def test_an_unknown_word_is_skipped_without_ngrams_and_a_text_of_none_weighs_nothing():
    assert UNITS.encode("the dog", 10, sif=0)[0].tolist() == [0]
    ids, weights = UNITS.encode("dog", 10, sif=0)
    assert ids.tolist() == [0]
    assert weights.tolist() == [0]


def test_an_unknown_word_is_the_mean_of_its_letter_ngrams():
    units = WordUnits(("the",), (1,), total=1, buckets=1000, min_ngram=3, max_ngram=4)
    ids, weights = units.encode("cat", 10, sif=1e-3)
    # <ca cat at> <cat cat>; the whole marked word is no n-gram of its own.
    assert len(ids) == 5
    assert (ids >= 1).all()
    assert weights == pytest.approx(np.full(5, 0.2))


def test_the_units_of_a_word_are_itself_and_its_ngrams():
    units = WordUnits(("a", "cat"), (1, 1), total=2, buckets=10, min_ngram=3, max_ngram=3)
    starts, ids = ngram_table(units)
    assert starts.tolist() == [0, 1, 5]
    assert ids[1] == 1
    assert ids[2:].tolist() == units.ngram_ids("cat")


def test_saved_units_come_back(tmp_path):
    UNITS.save(tmp_path)
    assert load_word_units(tmp_path) == UNITS


@pytest.mark.parametrize(
    "content", ["the\t1\nthe\t2\n", "the\n", "the\tmany\n", ""], ids=["twice", "tab", "count", "0"]
)
def test_damaged_words_are_refused(tmp_path, content):
    UNITS.save(tmp_path)
    (tmp_path / "words.tsv").write_text(content)
    with pytest.raises(ArtifactError):
        load_word_units(tmp_path)


def test_too_few_words_are_an_error():
    with pytest.raises(DataError, match="fewer than two words"):
        learned(["one one"], min_count=2)
