"""Hashed n-grams: the same on every machine and in every batch, within the buckets."""

from __future__ import annotations

import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.features.tokenizers.hashing import END, HashedNgrams
from aitk.nlp.features.tokenizers.loading import load_tokenizer
from aitk.nlp.features.word_table import RESERVED, WORD_OR_END, WORD_PATTERN, distinct_words

WORDS_ONLY = HashedNgrams(buckets=1000, ngrams=1)


def test_a_word_is_its_checksum():
    expected = zlib.crc32(b"refund") % 1000 + RESERVED
    assert WORDS_ONLY.encode_many(["Refund"], 8) == [[expected, END]]


def test_pairs_follow_the_words_and_depend_on_their_order():
    pairs = HashedNgrams(buckets=100_000, ngrams=2)
    [ab, ba] = pairs.encode_many(["not good", "good not"], 16)
    assert len(ab) == 4  # not, good, not good, end
    assert set(ab[:2]) == set(ba[:2])
    assert ab[2] != ba[2]


def test_pairs_do_not_reach_into_the_next_text():
    pairs = HashedNgrams(buckets=100_000, ngrams=3)
    texts = ["one two three four", "", "five", "six seven"]
    assert pairs.encode_many(texts, 64) == [pairs.encode_many([text], 64)[0] for text in texts]


def test_runs_of_letters_are_shared_by_kindred_words():
    letters = HashedNgrams(buckets=100_000, ngrams=1, character_ngrams=5)
    [one, other] = letters.encode_many(["cancellation", "cancelled"], 64)
    assert len(set(one) & set(other)) > 5


def test_characters_are_words_where_nothing_separates_them():
    assert len(WORDS_ONLY.encode_many(["包裹坏了!"], 64)[0]) == 6
    assert len(WORDS_ONLY.encode_many(["हिन्दी में"], 64)[0]) == 3
    assert len(WORDS_ONLY.encode_many(["good👍👍"], 64)[0]) == 4


@given(text=st.text(st.sampled_from("abZ'é. ,-\0\n\u3000包가👍𝒳") | st.characters(), min_size=1))
def test_arrays_find_the_words_that_the_pattern_finds(text):
    words, numbers = distinct_words(text)
    assert [words[number] for number in numbers] == WORD_OR_END.findall(text)


def test_many_texts_at_once_have_the_ids_of_each_by_itself():
    texts = ["Delays of 3 days, again!", "dəˈleɪ — «пусто» 包裹", "", "DELAYS"] * 600
    hashed = HashedNgrams(buckets=1000, ngrams=2, character_ngrams=4)
    assert hashed.encode_many(texts, 64) == [*map(list, hashed.encode_many(texts[:4], 64))] * 600


@given(
    texts=st.lists(st.text(max_size=80), max_size=5),
    max_length=st.integers(2, 40),
    ngrams=st.integers(1, 4),
    letters=st.sampled_from([0, 4]),
)
def test_ids_stay_in_bounds(texts, max_length, ngrams, letters):
    hashed = HashedNgrams(buckets=50, ngrams=ngrams, character_ngrams=letters)
    for ids in hashed.encode_many(texts, max_length):
        assert 1 <= len(ids) <= max_length
        assert ids[-1] == END
        assert all(RESERVED <= index < hashed.vocabulary_size for index in ids[:-1])


def test_it_is_the_same_after_saving(tmp_path):
    hashed = HashedNgrams(buckets=77, ngrams=3, character_ngrams=4, lowercase=False)
    hashed.save(tmp_path)
    assert load_tokenizer(tmp_path) == hashed


def test_runs_of_letters_are_of_all_words_or_of_none():
    tokenizer = HashedNgrams(buckets=1000, ngrams=1, character_ngrams=3)
    whole = tokenizer.encode_many(["good film"], 32)[0]
    assert len(whole) == 2 + 4 + 4 + 1  # two words, four runs in each, the end
    assert tokenizer.encode_many(["good film"], 8)[0] == [*whole[:2], whole[-1]]


def ids_of(text, *, buckets, ngrams, letters, max_length):
    """The ids of one text, straight from the definition."""

    def bucket(number):
        return number % 2**32 % buckets + RESERVED

    most = max(1, (max_length - 1) // ngrams)
    words = re.findall(WORD_PATTERN, text.lower())[:most]
    hashes = [zlib.crc32(word.encode()) for word in words]
    ids = []
    for length in range(1, ngrams + 1):
        for start in range(len(words) - length + 1):
            number = hashes[start]
            for following in hashes[start + 1 : start + length]:
                number = (number * 2654435761 + following) % 2**32
            ids.append(bucket(number))
    inside = [
        bucket(zlib.crc32(f"<{word}>"[at : at + length].encode()))
        for word in words
        for length in range(3, letters + 1)
        for at in range(len(word) + 3 - length)
    ]
    if len(ids) + len(inside) < max_length:
        ids += inside
    return [*ids[: max_length - 1], END]


@given(
    st.lists(st.text(st.sampled_from("abÉ é.,x日本\n"), max_size=60), max_size=6),
    st.integers(1, 4),
    st.sampled_from([0, 3, 5]),
    st.sampled_from([4, 16, 40, 400]),
)
def test_texts_hashed_together_are_hashed_as_defined(texts, ngrams, letters, max_length):
    hashed = HashedNgrams(buckets=97, ngrams=ngrams, character_ngrams=letters)
    expected = [
        ids_of(text, buckets=97, ngrams=ngrams, letters=letters, max_length=max_length)
        for text in texts
    ]
    assert hashed.encode_many(texts, max_length) == expected
