"""Prefix beam search: the best text of all, and what guides it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.speech.data.transcripts import spelled_lexicon, spoken_lexicon
from aitk.speech.decoding.beam_search import SearchOptions, beam_search
from aitk.speech.decoding.ctc import collapse, greedy, log_softmax
from aitk.speech.decoding.ngram import train_ngram
from aitk.speech.features.tokenizers.units import Units, learn_units

CHARACTERS = Units("char", ("<blank>", "▁", "a", "b"))
WIDE = SearchOptions(beams=1000, min_log_probability=-math.inf)


def random_steps(steps: int, units: int, seed: int, *, sharp: float = 1.0) -> np.ndarray:
    return log_softmax(sharp * np.random.default_rng(seed).normal(size=(steps, units)))


def said(path: list[int], units: Units, sure: float = 0.9) -> np.ndarray:
    """Steps with one likely unit each; the others share the rest."""
    rest = (1 - sure) / (len(units) - 1)
    return np.log(np.eye(len(units))[path] * (sure - rest) + rest)


def texts_by_probability(log_probabilities: np.ndarray, units: Units) -> dict[str, float]:
    """Every text there is, by adding up all paths."""
    steps, count = log_probabilities.shape
    found: dict[str, float] = {}
    for path in itertools.product(range(count), repeat=steps):
        text = units.decode(collapse(path))
        p = math.exp(log_probabilities[np.arange(steps), list(path)].sum())
        found[text] = found.get(text, 0.0) + p
    return found


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_a_wide_search_finds_every_text_with_its_probability(seed):
    some = random_steps(5, 4, seed)
    wanted = texts_by_probability(some, CHARACTERS)
    found = {
        each.text: math.exp(each.score)
        for each in beam_search(some, CHARACTERS, options=WIDE, best=10_000)
    }
    assert found.keys() == wanted.keys()
    for text, p in wanted.items():
        assert found[text] == pytest.approx(p)


def test_many_weak_paths_outweigh_a_strong_one():
    units = Units("char", ("<blank>", "▁", "a"))
    some = np.log(np.array([[0.6, 0.001, 0.399]] * 2))
    assert units.decode(greedy(some)) == ""
    assert beam_search(some, units)[0].text == "a"


def test_the_narrowest_search_reads_clear_speech():
    units = learn_units(["call a taxi"], kind="char")
    path = [0, *itertools.chain.from_iterable((n, 0) for n in units.encode("call a taxi"))]
    found = beam_search(said(path, units), units, options=SearchOptions(beams=1))
    assert found[0].text == "call a taxi"
    assert list(found[0].units) == units.encode("call a taxi")


def test_the_language_model_decides_between_what_sounds_alike():
    units = learn_units(["two too"], kind="char")
    two, too = units.encode("two"), units.encode("too")
    some = said([two[0], 0, two[1], 0, too[2]], units)
    some[2] = np.log(0.01)
    some[2, [two[1], too[1]]] = np.log([0.45, 0.5])  # w or o
    model = train_ngram([["two"]] * 5 + [["too"]], order=2)
    assert beam_search(some, units)[0].text == "too"
    assert beam_search(some, units, model=model)[0].text == "two"


def test_scores_with_a_model_are_what_they_are_said_to_be():
    some = random_steps(4, 4, seed=3)
    model = train_ngram([["a", "b"], ["ab"]], order=2)
    options = SearchOptions(1000, -math.inf, language_weight=0.7, word_bonus=0.3)
    plain = texts_by_probability(some, CHARACTERS)
    for each in beam_search(some, CHARACTERS, options=options, model=model, best=100):
        words = each.text.split()
        wanted = math.log(plain[each.text]) + 0.7 * model.sentence_score(words) + 0.3 * len(words)
        assert each.score == pytest.approx(wanted)


def test_only_words_of_the_lexicon_are_found():
    lexicon = spelled_lexicon(["ab", "b"])
    for seed in range(10):
        some = random_steps(6, 4, seed)
        found = beam_search(some, CHARACTERS, options=WIDE, lexicon=lexicon, best=1000)
        plain = texts_by_probability(some, CHARACTERS)
        allowed = {text for text in plain if set(text.split()) <= {"ab", "b"}}
        assert {each.text for each in found} == allowed


def test_hot_words_are_heard_sooner():
    units = learn_units(["anna hanna"], kind="char")
    path = [0, *itertools.chain.from_iterable((n, 0) for n in units.encode("anna"))]
    some = said(path, units)
    some[0] = np.log(0.04)
    some[0, [0, units.encode("h")[0]]] = np.log([0.6, 0.3])
    assert beam_search(some, units)[0].text == "anna"
    hot = SearchOptions(hot_words={"hanna": 3.0})
    assert beam_search(some, units, options=hot)[0].text == "hanna"


def test_a_hot_word_that_is_not_said_changes_nothing():
    units = learn_units(["call me"], kind="char")
    path = [*itertools.chain.from_iterable((n, 0) for n in units.encode("call me"))]
    hot = SearchOptions(hot_words={"mellow": 2.0})
    assert beam_search(said(path, units), units, options=hot)[0].text == "call me"


def test_phones_become_the_words_of_the_lexicon():
    units = Units("phone", ("<blank>", "AH", "T", "UW"))
    lexicon = spoken_lexicon(
        {"two": [("T", "UW")], "to": [("T", "UW"), ("T", "AH")], "a": [("AH",)]}
    )
    model = train_ngram([["a", "two"]] * 3 + [["to", "a"]], order=2)
    some = said([1, 0, 2, 3], units)
    found = beam_search(some, units, lexicon=lexicon, model=model, best=5)
    assert found[0].text == "a two"
    assert found[0].units == (1, 2, 3)
    assert "a to" in {each.text for each in found}
    assert beam_search(some, units)[0].text == "AH T UW"


def test_subwords_are_joined_regardless_of_their_cut():
    units = Units("subword", ("<blank>", "▁", "▁ab", "a", "b"))
    some = np.log(np.array([[0.02, 0.3, 0.6, 0.04, 0.04], [0.5, 0.1, 0.1, 0.2, 0.1]]))
    wanted = texts_by_probability(some, units)
    found = beam_search(some, units, options=WIDE, best=100)
    assert {each.text for each in found} == wanted.keys()
    assert math.exp(found[0].score) == pytest.approx(max(wanted.values()))


def test_a_lexicon_holds_single_words():
    with pytest.raises(DataError, match="one word"):
        spelled_lexicon(["a b"])
    with pytest.raises(DataError, match="no words"):
        spelled_lexicon([])
