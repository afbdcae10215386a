"""The best legal tags, and the spans in them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.nlp.data.formats.tag_schemes import spans_of
from aitk.nlp.decoding.tagging import (
    best_tags,
    chain_of,
    describe_spans,
    legal_moves,
    span_probabilities,
    spans_in,
)

LABELS = ("O", "B-A", "I-A", "B-B", "I-B")


def scores(seed: int, words: int, labels=LABELS, spread: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(scale=spread, size=(2 + len(labels) + words, len(labels))).astype("f")


@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(0.0, 1e4))
def test_illegal_sequences_are_never_decoded(seed, words, spread):
    made = scores(seed, words, spread=spread)
    tags = [LABELS[tag] for tag in best_tags(chain_of(made, legal_moves(LABELS), words))]
    _, illegal = spans_of(tags, "iob2")
    assert illegal is None


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_best_tags_are_those_of_an_exhaustive_search(seed, words):
    chain = chain_of(scores(seed, words), legal_moves(LABELS), words)

    def score(tags):
        value = chain.first[tags[0]] + chain.last[tags[-1]]
        value += sum(chain.emissions[at, tag] for at, tag in enumerate(tags))
        return value + sum(chain.transitions[pair] for pair in itertools.pairwise(tags))

    best = max(itertools.product(range(len(LABELS)), repeat=words), key=score)
    assert tuple(best_tags(chain)) == best


def test_words_that_were_not_read_still_have_a_legal_tag():
    made = scores(0, 2)
    assert len(best_tags(chain_of(made, legal_moves(LABELS), 5))) == 5


def test_everything_may_follow_everything_among_parts_of_speech():
    assert (legal_moves(("ADJ", "NOUN", "O")) == 1).all()


def test_a_span_is_as_likely_as_all_sequences_that_have_it():
    chain = chain_of(scores(7, 3), legal_moves(LABELS), 3)
    tags = np.array([1, 2, 0])
    total = there = 0.0
    for other in itertools.product(range(len(LABELS)), repeat=3):
        value = chain.first[other[0]] + chain.last[other[-1]]
        value += sum(chain.emissions[at, tag] for at, tag in enumerate(other))
        value = np.exp(value + sum(chain.transitions[pair] for pair in itertools.pairwise(other)))
        total += value
        there += value if other[:2] == (1, 2) else 0.0
    found = span_probabilities(chain, tags, [(0, 2, "A")])
    assert found == pytest.approx([there / total], rel=1e-6)


def test_spans_are_given_in_characters():
    spans = spans_in([1, 2, 0, 3], LABELS)
    assert spans == [(0, 2, "A"), (3, 4, "B")]
    told = describe_spans("an ox is big", [0, 3, 6, 9], [2, 5, 8, 12], spans, [0.5, 1.0])
    assert told[0] == {"start": 0, "end": 5, "text": "an ox", "label": "A", "score": 0.5}
    assert spans_in([0, 1], ("ADJ", "NOUN")) == [(0, 1, "ADJ"), (1, 2, "NOUN")]
