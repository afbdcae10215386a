"""Skip-gram and CBOW in blocks, against the pair-by-pair arithmetic of word2vec.c."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from aitk.core.contract.progress import Silent
from aitk.nlp.features.word_units import WordUnits, learn_word_units
from aitk.nlp.losses import skipgram
from aitk.nlp.losses.skipgram import (
    BLOCK,
    Blocks,
    default_epochs,
    epoch_blocks,
    keep_probabilities,
    negative_distribution,
    train_vectors,
)
from aitk.nlp.losses.word_corpus import write_corpus

WINDOW, DIMENSION = 2, 4


def settings(**given):
    values = {
        "dimension": DIMENSION,
        "window": WINDOW,
        "negatives": 3,
        "sample": 0,
        "epochs": 1,
        "rate": 0.025,
        "architecture": "skip-gram",
    }
    return SimpleNamespace(**values | given)


def units_of(size):
    return WordUnits(tuple(f"w{number}" for number in range(size)), (1,) * size, total=size)


def one_block(ids, words):
    """The block of a text of at most ``BLOCK`` words, every center reaching the whole window."""
    contexts = np.zeros((1, BLOCK + 2 * WINDOW), np.int32)
    texts = np.full_like(contexts, -1)
    contexts[0, WINDOW : WINDOW + len(ids)] = ids
    texts[0, WINDOW : WINDOW + len(ids)] = 0
    inside = slice(WINDOW, WINDOW + BLOCK)
    return Blocks(
        contexts[:, inside],
        contexts,
        texts[:, inside],
        texts,
        np.full((1, BLOCK), WINDOW, np.int32),
    )


def neighbours(ids):
    for place, center in enumerate(ids):
        around = range(max(0, place - WINDOW), min(len(ids), place + WINDOW + 1))
        yield center, [ids[other] for other in around if other != place]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def expected_step(table, ids, samples, rate, *, cbow):
    """Two steps of summed gradients, written pair by pair: the output vectors start at zero, so
    that the first moves them alone."""
    outputs = np.zeros_like(table)
    share = 3 / len(samples)
    for _ in range(2):
        by_input, by_output = np.zeros_like(table), np.zeros_like(table)
        for center, around in neighbours(ids):
            groups = [(around, [center])] if cbow else [([center], [word]) for word in around]
            for read, targets in groups:
                hidden = table[read].mean(0)
                back = np.zeros(DIMENSION)
                weighted = [(targets[0], 1.0, 1.0), *((n, 0.0, share) for n in samples)]
                for word, label, weight in weighted:
                    slope = weight * (label - sigmoid(hidden @ outputs[word]))
                    back += slope * outputs[word]
                    by_output[word] += slope * hidden
                for word in read:
                    by_input[word] += back
        table, outputs = table + rate * by_input, outputs + rate * by_output
    return table


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_a_step_is_that_of_word2vec_at_a_low_rate(architecture):
    import tensorflow as tf

    units, ids, rate = units_of(9), [0, 3, 1, 3, 2, 5], 3e-3
    first = np.random.default_rng(0).normal(size=(9, DIMENSION)).astype(np.float32)
    table = tf.Variable(first)
    step = skipgram._compiled_step(units, settings(architecture=architecture), table)
    samples = np.array([[6, 7, 8] * (skipgram.SHARED_NEGATIVES // 3)], np.int32)
    for _ in range(2):
        step(one_block(ids, 9), samples, rate)
    wanted = expected_step(
        first.astype(np.float64), ids, samples[0], rate, cbow=architecture == "cbow"
    )
    change = table.numpy() - first
    assert change == pytest.approx(wanted - first, rel=0.05, abs=5e-7)
    assert np.abs(change[:6]).sum() > 0
    assert (change[6:] == 0).all()


def test_a_high_rate_does_not_overshoot():
    import tensorflow as tf

    table = tf.Variable(np.random.default_rng(0).normal(size=(9, DIMENSION)).astype(np.float32))
    step = skipgram._compiled_step(units_of(9), settings(), table)
    samples = np.full((1, skipgram.SHARED_NEGATIVES), 8, np.int32)
    for _ in range(300):
        step(one_block([0, 1] * 16, 9), samples, 1.0)
    assert np.abs(table.numpy()).max() < 50


def test_frequent_words_are_thinned_out_as_in_word2vec():
    units = WordUnits(("the", "cat"), (900, 100), total=1000)
    keep = keep_probabilities(units, 0.01)
    assert keep == pytest.approx([(np.sqrt(90) + 1) / 90, (np.sqrt(10) + 1) / 10])
    assert keep_probabilities(units, 0).tolist() == [1, 1]


def test_negatives_are_drawn_by_counts_to_the_power_of_three_quarters():
    shares = np.diff(negative_distribution(WordUnits(("a", "b"), (16, 1), total=17)), prepend=0)
    assert shares == pytest.approx([8 / 9, 1 / 9])


def test_every_word_is_a_center_once_and_sees_its_own_text_only():
    units = units_of(7)
    rows = [{"text": "w1 w2 w3"}, {"text": "w4 w5"}]
    with write_corpus(rows, units, reporter=Silent()) as corpus:
        rng = np.random.default_rng(0)
        ((blocks, words),) = epoch_blocks(corpus, np.ones(7), window=WINDOW, rng=rng)
    assert words == 5
    used = blocks.center_texts >= 0
    assert blocks.centers[used].tolist() == [1, 2, 3, 4, 5]
    assert blocks.center_texts[used].tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("buckets", [0, 50])
def test_words_in_the_same_contexts_become_similar(buckets):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(300):
        animal, metal = rng.choice(["cat", "dog"]), rng.choice(["iron", "zinc"])
        rows += [{"text": f"the {animal} eats fresh food"}, {"text": f"melted {metal} is hot now"}]
    wanted = settings(dimension=16, epochs=30, rate=0.05, sample=0)
    made = {"lowercase": True, "min_count": 1, "vocabulary_size": 99, "buckets": buckets}
    units = learn_word_units((row["text"] for row in rows), SimpleNamespace(**made))
    with write_corpus(rows, units, reporter=Silent()) as corpus:
        vectors = train_vectors(corpus, units, wanted, seed=0, reporter=Silent())
        again = train_vectors(corpus, units, wanted, seed=0, reporter=Silent())
    assert vectors.shape == (units.size, 16)
    assert np.allclose(vectors, again, atol=1e-4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cat, dog, iron, zinc = (unit[units.ids[word]] for word in ("cat", "dog", "iron", "zinc"))
    assert cat @ dog > cat @ iron + 0.2
    assert iron @ zinc > dog @ zinc + 0.2


def test_small_texts_are_read_more_often():
    assert default_epochs(10**9) == 5
    assert default_epochs(20_000) == 25
    assert default_epochs(1) == 50
