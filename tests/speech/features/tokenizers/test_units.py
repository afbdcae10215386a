"""Output units: they spell texts and texts can be read from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError, UsageError
from aitk.speech.features.tokenizers.units import learn_units, read_pronunciations, units_from

TEXTS = ["call a taxi", "call me later", "a later taxi"]
PHONES = {"call": ("K", "AO", "L"), "me": ("M", "IY")}


@given(st.lists(st.text("aeélt' ", max_size=12), min_size=1, max_size=6))
def test_units_spell_every_text_they_were_learned_from(texts):
    texts = [" ".join(text.split()) for text in texts]
    if not any(texts):
        return
    for kind in ("char", "subword", "word"):
        units = learn_units(texts, kind=kind, size=100)
        for text in texts:
            assert units.decode(units.encode(text)) == text


def test_characters_are_all_there_are():
    assert learn_units(["ba a"], kind="char").symbols == ("<blank>", "▁", "a", "b")


def test_subwords_are_the_most_frequent_pairs():
    units = learn_units(["later later later low"], kind="subword", size=11)
    assert units.split("later low") == ["▁la", "ter", "▁", "l", "o", "w"] or len(units) <= 11
    assert len(learn_units(TEXTS, kind="subword", size=16)) <= 16


def test_words_beyond_the_size_have_no_unit():
    units = learn_units(["a a b b c"], kind="word", size=3)
    assert units.symbols == ("<blank>", "▁a", "▁b")
    with pytest.raises(DataError, match="'c'"):
        units.encode("a c")


def test_phones_come_from_the_lexicon():
    units = learn_units(["call me"], kind="phone", pronunciations=PHONES)
    assert units.decode(units.encode("call me")) == "K AO L M IY"
    with pytest.raises(DataError, match="taxi"):
        units.encode("taxi")
    with pytest.raises(UsageError, match="lexicon"):
        learn_units(TEXTS, kind="phone")


def test_units_survive_json():
    for kind in ("char", "subword", "word", "phone"):
        units = learn_units(TEXTS, kind=kind, size=20, pronunciations=PHONES)
        again = units_from(units.as_json())
        assert again.symbols == units.symbols
        assert again.split("call me") == units.split("call me")


def test_a_lexicon_may_have_several_ways_to_say_a_word():
    lines = ["# a comment", "tomato T AH", "tomato(2) T EY", "", "(hm) HH"]
    assert read_pronunciations(lines, where="lexicon.txt") == {
        "tomato": [("T", "AH"), ("T", "EY")],
        "(hm)": [("HH",)],
    }
    with pytest.raises(DataError, match="lexicon.txt:1"):
        read_pronunciations(["word"], where="lexicon.txt")


def test_no_text_has_no_units():
    with pytest.raises(DataError, match="no text"):
        learn_units(["", " "], kind="char")
