"""GloVe: joint counts, against counting pair by pair, and what vectors are trained to."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from aitk.core.contract.progress import Silent
from aitk.nlp.features.word_units import WordUnits
from aitk.nlp.losses.glove import count_pairs, train_glove
from aitk.nlp.losses.word_corpus import write_corpus

UNITS = WordUnits(("a", "b", "c", "d"), (1, 1, 1, 1), total=4)
ROWS = [{"text": "a b c a"}, {"text": "c d"}, {"text": "d x a"}]


def expected_counts(window):
    counts = Counter()
    for row in ROWS:
        ids = [UNITS.ids[word] for word in row["text"].split() if word in UNITS.ids]
        for place, one in enumerate(ids):
            for distance, two in enumerate(ids[place + 1 : place + 1 + window], start=1):
                counts[min(one, two), max(one, two)] += 1 / distance
    return dict(counts)


def test_counts_are_those_of_every_pair_within_the_window():
    with write_corpus(ROWS, UNITS, reporter=Silent()) as corpus:
        first, second, counts = count_pairs(corpus, 4, window=2, note=pytest.fail)
    found = {(int(i), int(j)): x for i, j, x in zip(first, second, counts, strict=True)}
    assert found == pytest.approx(expected_counts(2))


def test_rare_pairs_are_dropped_to_bound_memory_with_a_note():
    told = []
    with write_corpus(ROWS, UNITS, reporter=Silent()) as corpus:
        first, _, counts = count_pairs(corpus, 4, window=2, note=told.append, max_pairs=2)
    assert len(first) <= 2
    assert counts.max() == max(expected_counts(2).values())
    assert "dropped" in told[0]


def test_products_of_vectors_approach_the_logarithms_of_counts():
    rows = [{"text": "a b"}] * 90 + [{"text": "c d"}] * 90 + [{"text": "a d"}]
    settings = SimpleNamespace(dimension=4, window=2, epochs=300, rate=0.1)
    with write_corpus(rows, UNITS, reporter=Silent()) as corpus:
        vectors = train_glove(corpus, UNITS, settings, seed=0, reporter=Silent())
    assert vectors.shape == (4, 4)
    products = vectors @ vectors.T
    assert products[0, 1] > products[0, 3]
    assert np.isfinite(products).all()
