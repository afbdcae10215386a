"""Words as arrays, and windows over long sentences."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.data.words import split_words
from aitk.nlp.features.tokenizers.learning import train_tokenizer
from aitk.nlp.features.word_readers import (
    UNKNOWN,
    WORD_LENGTH,
    Subwords,
    _windows,
    best_window,
    learn_words,
    word_form,
    words_in,
)

LABELS = ("O", "B-X", "I-X")


def row(text):
    spans = split_words(text)
    return {"text": text, "starts": [a for a, _ in spans], "ends": [b for _, b in spans]}


ROWS = [row("Ann Lee lives in Porto"), row("Ann lives in Leeds 12"), row("北京 is big")]


def subwords():
    settings = SimpleNamespace(tokenizer="wordpiece", vocabulary_size=300, lowercase=True)
    return Subwords(train_tokenizer([each["text"] for each in ROWS] * 3, settings))


def test_words_are_known_without_case_and_by_the_shape_of_their_numbers():
    words = learn_words(ROWS, vocabulary_size=50)
    assert word_form("Ann-1945") == "ann-0000"
    first, second = words.encode([row("ANN lives 99"), row("Zoe")])
    known = words.encode(ROWS)[1]["token_ids"]
    assert list(first["token_ids"]) == [known[0], known[1], known[4]]
    assert second["token_ids"][0] == UNKNOWN
    assert first["character_ids"].shape == (3, WORD_LENGTH)
    assert list(first["character_ids"][2]) == [2, 1, 1, 3, *[0] * (WORD_LENGTH - 4)]
    assert words.counts[words.words.index("ann")] == 2


def test_training_replaces_some_words_that_were_seen_once():
    words = learn_words(ROWS, vocabulary_size=50)
    (inputs,) = words.encode([ROWS[0]])
    drawn = [words.cut(inputs, (0, 5), 9, np.random.default_rng(seed)) for seed in range(200)]
    changed = np.mean([each["token_ids"] == UNKNOWN for each in drawn], axis=0)
    assert 0.2 < changed[0] < 0.5 < changed[1] + 0.2  # Ann is seen twice, Lee once
    assert (words.cut(inputs, (0, 5), 9, None)["token_ids"] != UNKNOWN).all()


def test_a_word_is_read_at_its_first_subword():
    reader = subwords()
    (inputs,) = reader.encode([ROWS[2]])
    cut = reader.cut(inputs, (0, 4), 32, None)
    tokens = [reader.tokenizer.engine.id_to_token(index) for index in cut["token_ids"]]
    found = [tokens[place - 1] for place in cut["word_positions"]]
    assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]"
    assert found[:2] == ["北", "京"] and found[2][0] == "i" and found[3][0] == "b"


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(1, 8))
def test_windows_cover_every_word_and_have_room_for_it(sizes, room):
    windows = _windows(np.array(sizes), room)
    assert windows[0][0] == 0 and windows[-1][1] == len(sizes)
    for start, end in windows:
        assert end > start and (sum(sizes[start:end]) <= room or end == start + 1)
    chosen = best_window(windows, len(sizes))
    for word, number in enumerate(chosen):
        assert windows[number][0] <= word < windows[number][1]


def test_words_are_those_of_the_text():
    assert words_in(ROWS[0]) == ["Ann", "Lee", "lives", "in", "Porto"]
