"""Vocabularies learned from texts: nothing lost, nothing too long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.nlp.features.tokenizers.learning import train_tokenizer
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer
from aitk.nlp.tasks.settings import TRAINED_TOKENIZERS as TRAINED
from aitk.nlp.tasks.settings import BagSettings, CnnSettings

TEXTS = [
    "The parcel arrived broken, please send a new one!",
    "please cancel my order and refund the money",
    "我昨天收到的包裹坏了",
    "สวัสดีครับ ขอบคุณมาก",
    "荷物が壊れていました",
    "great 👍",
]


def trained(kind: str, **changes) -> SubwordTokenizer:
    chosen = CnnSettings(tokenizer=kind, vocabulary_size=600, **changes)
    return train_tokenizer(TEXTS, chosen)


def tokens(tokenizer: SubwordTokenizer, text: str) -> list[str]:
    return tokenizer.engine.encode(text).tokens


@pytest.mark.parametrize("kind", TRAINED)
def test_ids_are_framed_short_enough_and_in_the_vocabulary(kind):
    tokenizer = trained(kind)
    for ids in tokenizer.encode_many([*TEXTS, "", "unseen wörds"], 9):
        assert 2 <= len(ids) <= 9
        assert (ids[0], ids[-1]) == (2, 3)  # [CLS], [SEP]
        assert max(ids) < tokenizer.vocabulary_size
    assert (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.mask_id) == (0, 1, 4)
    assert tokenizer.special_ids == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("kind", TRAINED)
def test_the_same_texts_give_the_same_vocabulary(kind):
    assert trained(kind).engine.to_str() == trained(kind).engine.to_str()


@pytest.mark.parametrize("kind", TRAINED)
def test_known_text_is_restored(kind):
    tokenizer = trained(kind)
    [ids] = tokenizer.encode_many(["please refund the order"], 64)
    assert tokenizer.decode(ids) == "please refund the order"


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60))
def test_byte_pairs_lose_nothing(text):
    tokenizer = BYTE_PAIRS
    [ids] = tokenizer.encode_many([text], 4000)
    expected = tokenizer.engine.normalizer.normalize_str(text).strip()
    assert tokenizer.decode([index for index in ids if index > 4]) == expected


BYTE_PAIRS = train_tokenizer(
    TEXTS, CnnSettings(tokenizer="bpe", vocabulary_size=600, lowercase=False)
)


@pytest.mark.parametrize("kind", ["wordpiece", "word"])
def test_scripts_without_spaces_are_split_by_character(kind):
    assert tokens(trained(kind), "包裹坏了")[1:-1] == ["包", "裹", "坏", "了"]
    assert tokens(trained(kind), "สวัสดี")[1:-1] == ["ส", "วั", "ส", "ดี"]
    assert tokens(trained(kind), "荷物が")[1:-1] == ["荷", "物", "が"]


def test_a_long_run_without_spaces_is_not_one_unknown_word():
    ids = trained("wordpiece").encode_many(["สวัสดี" * 40, "please" * 40], 200)
    assert all(1 not in each for each in ids)


def test_an_unknown_pictograph_leaves_its_word_known():
    assert tokens(trained("word"), "great🎉")[1:-1] == ["great", "[UNK]"]


def test_case_is_ignored_by_default():
    assert tokens(trained("word"), "PLEASE") == tokens(trained("word"), "please")
    cased = trained("word", lowercase=False)
    assert tokens(cased, "The")[1:-1] == ["The"]
    assert tokens(cased, "PLEASE")[1:-1] == ["[UNK]"]


def test_word_numbers_join_the_pieces_of_a_word():
    tokenizer = train_tokenizer(["ab ac b c"] * 3, CnnSettings(vocabulary_size=300))
    [(ids, words)] = tokenizer.encode_words(["abc ab"], 16)
    assert tokens(tokenizer, "abc ab") == ["[CLS]", "ab", "##c", "ab", "[SEP]"]
    assert words == [-1, 0, 0, 1, -1]
    assert len(ids) == len(words)


def test_a_line_of_50_mb_costs_no_more_than_a_page():
    tokenizer = trained("wordpiece")
    start = time.perf_counter()
    [ids] = tokenizer.encode_many(["please " * 7_000_000], 128)
    assert len(ids) == 128
    assert time.perf_counter() - start < 2


def test_texts_without_any_content_are_refused():
    with pytest.raises(DataError, match="no vocabulary"):
        train_tokenizer(["", " "], CnnSettings(tokenizer="word"))


def test_bag_settings_give_hashed_units():
    assert train_tokenizer([], BagSettings(vocabulary_size=1000)).vocabulary_size == 1002
