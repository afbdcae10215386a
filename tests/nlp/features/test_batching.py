"""How much a unit weighs by the texts that it occurs in."""

import math

import pytest

from aitk.nlp.features.batching import inverse_frequencies
from aitk.nlp.features.tokenizers.hashing import HashedNgrams

TOKENIZER = HashedNgrams(buckets=1000, ngrams=1)


def weights(*texts):
    rows = [{"text": text} for text in texts]
    found = inverse_frequencies(rows, TOKENIZER, max_length=64)

    def of(word):
        return found[TOKENIZER.encode_many([word], 64)[0][0]]

    return of


def test_a_unit_of_every_text_weighs_one_and_a_rare_one_more():
    of = weights("the cat", "the dog", "the dog the dog")
    assert of("the") == pytest.approx(1)
    assert of("dog") == pytest.approx(1 + math.log(4 / 3))  # in two texts, however often in one
    assert of("cat") == pytest.approx(1 + math.log(4 / 2))


def test_a_unit_that_no_text_has_weighs_most():
    of = weights("the cat", "the dog")
    assert of("zebra") == pytest.approx(1 + math.log(3))
