"""GloVe (Pennington et al. 2014): word vectors whose products approximate the logarithms of
co-occurrence counts.

Counts are gathered from the text in chunks, and the rarest are dropped to bound memory; training
runs over batches of counts with AdaGrad, as in the authors' program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Note
from aitk.core.runtime import interrupts
from aitk.nlp.features.word_units import WordUnits
from aitk.nlp.losses.word_corpus import WordCorpus

#: Maximum number of word pairs with counts in memory: 16 bytes each.
MAX_PAIRS = 60_000_000
#: Number of new counts after which counts are merged.
MERGED_AT = 20_000_000
BATCH = 8192
#: Weighting of a count x: (x / LARGE) ** POWER, at most 1 (section 3, equation 9).
LARGE, POWER = 100.0, 0.75
CLIP = 100.0


def count_pairs(
    corpus: WordCorpus, words: int, *, window: int, note: Note, max_pairs: int = MAX_PAIRS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Co-occurrence counts of words within ``window``; a pair at distance d counts 1 / d.

    Args:
        words: size of the vocabulary.
        note: receives the number of dropped pairs.

    Returns:
        ``first`` <= ``second`` ids (pairs,) int32 and ``counts`` (pairs,) float32.
    """
    keys, values = np.zeros(0, np.int64), np.zeros(0, np.float32)
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    size = 0
    given_up = 0

    def merge() -> None:
        nonlocal keys, values, waiting, size, given_up
        every = np.concatenate([keys, *(pair[0] for pair in waiting)])
        weights = np.concatenate([values, *(pair[1] for pair in waiting)])
        keys, values = _summed(every, weights)
        waiting, size = [], 0
        if len(keys) > max_pairs:
            # Counts that are rare so far are likely noise (lossy counting, Manku and Motwani 2002).
            kept = np.sort(np.argpartition(values, -max_pairs // 2)[-max_pairs // 2 :])
            given_up += len(keys) - len(kept)
            keys, values = keys[kept], values[kept]

    for ids, texts in corpus.chunks():
        for distance in range(1, min(window, len(ids) - 1) + 1):
            same = texts[distance:] == texts[:-distance]
            one, two = ids[:-distance][same], ids[distance:][same]
            pair = np.minimum(one, two) * words + np.maximum(one, two)
            found = _summed(pair, np.full(len(pair), 1 / distance, np.float32))
            waiting.append(found)
            size += len(found[0])
        interrupts.check()
        if size > MERGED_AT:
            merge()
    merge()
    if given_up:
        note(f"{given_up:,} rare word pairs were dropped to bound memory")
    return (keys // words).astype(np.int32), (keys % words).astype(np.int32), values


def _summed(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys in order, and the sum of the values of each."""
    if not len(keys):
        return keys, values
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(values, starts, dtype=np.float64).astype(np.float32)


def train_glove(
    corpus: WordCorpus, units: WordUnits, settings: Any, *, seed: int, reporter: Reporter
) -> np.ndarray:
    """Train vectors; each is the sum of the word's vectors as a word and as a context.

    Args:
        settings: ``GloveSettings``.

    Returns:
        (words, dimension) float32.
    """
    words = len(units.words)
    first, second, counts = count_pairs(corpus, words, window=settings.window, note=reporter.warn)
    rng = np.random.default_rng(seed)
    step, vectors = _compiled_step(words, settings, rng)
    steps = -(-len(counts) // BATCH)
    for epoch in range(settings.epochs):
        order = rng.permutation(len(counts))
        for number in range(steps):
            chosen = order[number * BATCH : (number + 1) * BATCH]
            step(first[chosen], second[chosen], counts[chosen])
            interrupts.check()
            if number % 50 == 0:
                reporter.update("training", epoch * steps + number, settings.epochs * steps)
    return vectors()


def _compiled_step(
    words: int, settings: Any, rng: np.random.Generator
) -> tuple[Callable[..., None], Callable[[], np.ndarray]]:
    """A training step, and a function that returns the final vectors.

    A row of a table is a vector and its bias. Every pair of different words is trained in both
    roles.
    """
    import tensorflow as tf

    size = settings.dimension + 1

    def start() -> Any:
        first = (rng.random((words, size), dtype=np.float32) - np.float32(0.5)) / size
        return tf.Variable(first), tf.Variable(tf.ones((words, size)))

    with tf.device("CPU:0"):
        (table, squares), (other, other_squares) = start(), start()

    def apply(variable: Any, sums: Any, ids: Any, gradient: Any) -> None:
        gradient = tf.clip_by_value(gradient, -CLIP, CLIP) * settings.rate
        sums.scatter_add(tf.IndexedSlices(gradient * gradient, ids))
        # Later pairs of a batch would see the squares of earlier ones: all use the updated squares.
        scaled = gradient * tf.math.rsqrt(tf.gather(sums, ids))
        variable.scatter_sub(tf.IndexedSlices(scaled, ids))

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.float32),
        ],
    )
    def step(one: Any, two: Any, counts: Any) -> None:
        differ = tf.not_equal(one, two)
        left = tf.concat([one, tf.boolean_mask(two, differ)], 0)
        right = tf.concat([two, tf.boolean_mask(one, differ)], 0)
        counts = tf.concat([counts, tf.boolean_mask(counts, differ)], 0)
        word, context = tf.gather(table, left), tf.gather(other, right)
        product = tf.reduce_sum(word[:, :-1] * context[:, :-1], 1)
        error = product + word[:, -1] + context[:, -1] - tf.math.log(counts)
        error *= tf.minimum(1.0, (counts / LARGE) ** POWER)
        error = error[:, None]
        one_column = tf.ones_like(error)
        by_word = error * tf.concat([context[:, :-1], one_column], 1)
        by_context = error * tf.concat([word[:, :-1], one_column], 1)
        apply(table, squares, left, by_word)
        apply(other, other_squares, right, by_context)

    def run(one: np.ndarray, two: np.ndarray, counts: np.ndarray) -> None:
        with tf.device("CPU:0"):
            step(tf.constant(one), tf.constant(two), tf.constant(counts))

    return run, lambda: (table + other).numpy()[:, :-1]
