"""Pretrained word vectors in the embedding layers of classifiers and taggers."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.options import resolve
from aitk.nlp.features.word_embeddings import extend_words, learn_tokenizer
from aitk.nlp.features.word_readers import RESERVED, embed_words, learn_words
from aitk.nlp.tasks.classify import Classify
from aitk.nlp.tasks.settings import CnnSettings, LstmSettings

VECTORS = "The 1 2\ncat 3 4\nDog 5 6\nzebra 7 8\n"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text(VECTORS)
    return str(path)


def test_training_words_take_their_vectors_and_room_is_filled_from_the_source(source):
    told = []
    words, vectors = extend_words(
        source, ["dog", "unheard"], vocabulary_size=3, note=told.append, form=str.lower
    )
    assert words == ["dog", "unheard", "the"]
    assert vectors[0].tolist() == [5, 6]
    assert vectors[2].tolist() == [1, 2]
    assert np.abs(vectors[1]).max() > 0
    assert "1 of the 2 words" in told[0]


def test_a_source_without_a_single_word_is_refused(source):
    with pytest.raises(DataError, match="no vector for any word"):
        extend_words(source, ["нет"], vocabulary_size=5, note=print)


@pytest.mark.parametrize("settings", [CnnSettings, LstmSettings])
def test_the_embedding_layer_of_a_classifier_starts_with_the_vectors(source, settings):
    chosen = resolve(settings, {"embeddings": source, "max_length": 8})
    rows = [{"text": "The cat!", "label": "a"}, {"text": "A dog.", "label": "b"}]
    assets = Classify().learn(rows, {"labels": ["a", "b"]}, chosen, note=lambda _: None)
    model = next(spec for spec in Classify.models.values() if spec.settings is settings).build(
        chosen, assets
    )
    table = model.get_layer("backbone").get_layer("token_embedding").embeddings.numpy()
    vocabulary = assets.tokenizer.engine.get_vocab(with_added_tokens=True)
    for word, vector in {"cat": [3, 4], "dog": [5, 6], "zebra": [7, 8], "[PAD]": [0, 0]}.items():
        assert table[vocabulary[word]].tolist() == vector
    ids = assets.tokenizer.encode_bare(["the CAT"], 8)[0]
    assert table[ids].tolist() == [[1, 2], [3, 4]]


def test_words_of_a_tagger_take_their_vectors(source):
    rows = [{"text": "The cat 99", "starts": [0, 4, 8], "ends": [3, 7, 10]}]
    reader = learn_words(rows, vocabulary_size=50)
    extended, vectors = embed_words(reader, source, 50, note=lambda _: None)
    assert extended.words[: len(reader.words)] == reader.words
    assert len(vectors) == extended.vocabulary_size
    cat = extended.words.index("cat") + RESERVED
    assert vectors[cat].tolist() == [3, 4]


def test_weights_and_vectors_to_start_from_exclude_each_other(source):
    class Start:
        tokenizer = object()

    chosen = resolve(CnnSettings, {"embeddings": source})
    with pytest.raises(UsageError, match="include embeddings"):
        learn_tokenizer([], chosen, start=Start(), note=print)
