"""Saved vocabularies: the same after loading, and damage reported in one line."""

from __future__ import annotations

import json

import pytest

from aitk.core.contract.errors import ArtifactError
from aitk.nlp.features.tokenizers.learning import train_tokenizer
from aitk.nlp.features.tokenizers.loading import load_tokenizer
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer
from aitk.nlp.tasks.settings import TRAINED_TOKENIZERS as TRAINED
from aitk.nlp.tasks.settings import CnnSettings

TEXTS = [
    "The parcel arrived broken, please send a new one!",
    "please cancel my order and refund the money",
    "我昨天收到的包裹坏了",
    "great 👍",
]


def trained(kind: str) -> SubwordTokenizer:
    return train_tokenizer(TEXTS, CnnSettings(tokenizer=kind, vocabulary_size=600))


@pytest.mark.parametrize("kind", TRAINED)
def test_a_saved_tokenizer_gives_the_same_ids(kind, tmp_path):
    tokenizer = trained(kind)
    expected = tokenizer.encode_many(TEXTS, 64)
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path).encode_many(TEXTS, 64) == expected


def test_padding_and_truncation_saved_with_a_vocabulary_are_undone(tmp_path):
    tokenizer = trained("word")
    tokenizer.engine.enable_truncation(4)
    tokenizer.engine.enable_padding(length=4)
    (tmp_path / "tokenizer.json").write_text(tokenizer.engine.to_str())
    [short, long] = load_tokenizer(tmp_path).encode_many(["please", TEXTS[0]], 64)
    assert len(short) == 3
    assert len(long) == 13  # nine words, two marks and the frame


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}", b"[1]", b"\xff\x00", b'{"hashed_ngrams": {"x": 1}}']
)
def test_a_damaged_file_is_one_line(content, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ArtifactError, match="tokenizer.json"):
        load_tokenizer(tmp_path)


def test_a_truncated_file_is_one_line(tmp_path):
    trained("bpe").save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text()[:-100])
    with pytest.raises(ArtifactError):
        load_tokenizer(tmp_path)
    path.write_text(json.dumps({"version": "1.0", "model": {"type": "Nonsense"}}))
    with pytest.raises(ArtifactError):
        load_tokenizer(tmp_path)
