"""A vocabulary loses what no text holds, and reads these texts as before."""

import pytest

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import resolve
from aitk.nlp.features.tokenizers.hashing import HashedNgrams
from aitk.nlp.features.tokenizers.learning import train_subwords
from aitk.nlp.features.tokenizers.pruning import prune_tokenizer
from aitk.nlp.tasks.settings import CnnSettings

TEXTS = ["where is my parcel", "the parcel is late again", "refund my order please"]


@pytest.fixture
def whole():
    settings = resolve(CnnSettings, {"tokenizer": "wordpiece", "vocabulary_size": 300})
    return train_subwords([*TEXTS, "unrelated words about weather", "cold and windy"], settings)


def test_the_texts_are_cut_as_before_and_others_are_spelled(whole):
    small, kept = prune_tokenizer(whole, TEXTS, 20)
    assert small.vocabulary_size == len(kept) < whole.vocabulary_size
    for old, new in zip(whole.encode_many(TEXTS, 20), small.encode_many(TEXTS, 20), strict=True):
        assert [kept[number] for number in new] == old
    (spelled,) = small.encode_many(["weather"], 20)
    assert small.unknown_id not in spelled
    assert small.pad_id == whole.pad_id == 0


def test_hashes_have_no_names():
    with pytest.raises(UsageError, match="vocabularies of words"):
        prune_tokenizer(HashedNgrams(100), TEXTS, 20)
