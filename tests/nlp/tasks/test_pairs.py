"""Classification of pairs of texts."""

from types import SimpleNamespace

import numpy as np
import pytest

from aitk.nlp.features.assets import TextAssets
from aitk.nlp.features.tokenizers.hashing import HashedNgrams
from aitk.nlp.features.tokenizers.learning import train_tokenizer
from aitk.nlp.tasks.classify import Classify

ROW = {"text": "a dog runs", "pair": "an animal moves", "label": "yes"}


def tokenizer():
    settings = SimpleNamespace(tokenizer="word", vocabulary_size=300, lowercase=True)
    return train_tokenizer([ROW["text"], ROW["pair"]], settings)


def test_a_pair_is_framed_as_the_tokeniser_frames_two_texts():
    assets = TextAssets(tokenizer(), 32, ("no", "yes"))
    (example,) = Classify().encode([ROW], assets)
    wanted = assets.tokenizer.engine.encode(ROW["text"], ROW["pair"]).ids
    assert list(example.inputs["token_ids"]) == wanted and example.target == 1


@pytest.mark.parametrize("length", [4, 5, 6, 7, 8])
def test_the_longer_text_of_a_pair_is_cut_first(length):
    made = tokenizer()
    (ids,) = made.encode_pairs(["a dog runs a dog runs"], ["an animal"], length + 3)
    separators = [at for at, each in enumerate(ids) if each == made.end_id]
    assert len(ids) == min(length, 8) + 3 and len(separators) == 2
    assert separators[1] - separators[0] - 1 == 2  # the short one is whole


def test_a_bag_reads_both_texts():
    bag = HashedNgrams(buckets=500, ngrams=1)
    assert bag.encode_pairs(["a b"], ["c"], 9) == bag.encode_many(["a b\nc"], 9)


def test_the_second_text_of_a_pair_is_segment_one():
    import keras

    from aitk.nlp.models.hub import Segments

    ids = np.array([[1, 7, 9, 8, 8, 9, 0], [1, 7, 9, 0, 0, 0, 0]])
    made = Segments(9)(ids, (ids > 0).astype(int))
    assert keras.ops.convert_to_numpy(made).tolist() == [[0, 0, 0, 1, 1, 1, 0], [0] * 7]


def test_equal_texts_with_other_seconds_are_other_rows():
    task = Classify()
    assert task.key(ROW) != task.key({**ROW, "pair": "x"})
    assert task.key({"text": "x"}) == "x"
