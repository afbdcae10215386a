"""Word vectors by negative sampling: skip-gram and CBOW (Mikolov et al. 2013), with subwords
(Bojanowski et al. 2017).

The arithmetic is that of word2vec.c, arranged for matrix products (Ji et al. 2016): words form
blocks, all pairs of a block are one product of two small matrices, and all words of a block share
their negative samples, each of which counts for several. A step takes many blocks, so a frequent
word receives many gradients at once, at which plain steps would overshoot. The sum g of the
gradients of one vector is therefore scaled to the effect of as many sequential steps on a
quadratic with its curvature h: (1 - exp(-rate h)) / h instead of the rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.progress import Reporter
from aitk.core.layers import Tensor
from aitk.core.runtime import interrupts
from aitk.nlp.features.word_units import WordUnits, ngram_table
from aitk.nlp.losses.word_corpus import WordCorpus

#: Words of a block, and blocks of a step.
BLOCK, BLOCKS = 32, 96
#: Negative samples shared by a block.
SHARED_NEGATIVES = 24
LAST_RATE = 1e-4
NEGATIVE_POWER = 0.75
EPOCHS, MAX_EPOCHS = 5, 50
#: Minimum number of words to read, so that vectors move away from their random initialisation.
ENOUGH_WORDS = 500_000


@dataclass(frozen=True)
class Blocks:
    """The words of one step.

    Attributes:
        centers: (blocks, BLOCK) ids.
        contexts: (blocks, BLOCK + 2 window) ids; column j is ``window`` words before center j.
            center_texts, context_texts: the text of each; -1 for no word.
        reach: (blocks, BLOCK) context words on each side of a center.
    """

    centers: np.ndarray
    contexts: np.ndarray
    center_texts: np.ndarray
    context_texts: np.ndarray
    reach: np.ndarray


def keep_probabilities(units: WordUnits, sample: float) -> np.ndarray:
    """The probability to keep each word (words,) float64, as in word2vec.c: sqrt(sample / f) +
    sample / f, at most 1, for a word with the share f of the text."""
    counts = np.array(units.counts, np.float64)
    if not sample:
        return np.ones(len(counts))
    threshold = sample * counts.sum()
    return np.minimum(1, (np.sqrt(counts / threshold) + 1) * threshold / counts)


def negative_distribution(units: WordUnits) -> np.ndarray:
    """The cumulative distribution of negative samples (words,): counts to the power of 3/4."""
    weights = np.array(units.counts, np.float64) ** NEGATIVE_POWER
    return np.cumsum(weights / weights.sum())


def epoch_blocks(
    corpus: WordCorpus, keep: np.ndarray, *, window: int, rng: np.random.Generator
) -> Iterator[tuple[Blocks, int]]:
    """The steps of one pass over the text, in random order within a chunk.

    Yields:
        The blocks of a step, and the number of words of the text that they cover.
    """
    width = BLOCK + 2 * window
    for ids, texts in corpus.chunks():
        read = len(ids)
        kept = rng.random(read) < keep[ids]
        ids, texts = ids[kept], texts[kept]
        blocks = -(-len(ids) // BLOCK)
        if not blocks:
            continue
        padded_ids = np.zeros(blocks * BLOCK + 2 * window, np.int64)
        padded_texts = np.full(len(padded_ids), -1, np.int64)
        padded_ids[window : window + len(ids)] = ids
        padded_texts[window : window + len(ids)] = texts
        first = BLOCK * np.arange(blocks)[:, None]
        places = first + np.arange(width)
        order = rng.permutation(blocks)
        for start in range(0, blocks, BLOCKS):
            chosen = places[order[start : start + BLOCKS]]
            centers = chosen[:, window : window + BLOCK]
            yield (
                Blocks(
                    padded_ids[centers].astype(np.int32),
                    padded_ids[chosen].astype(np.int32),
                    padded_texts[centers].astype(np.int32),
                    padded_texts[chosen].astype(np.int32),
                    rng.integers(1, window + 1, centers.shape, dtype=np.int32),
                ),
                read * len(chosen) // blocks,
            )


def default_epochs(words: int) -> int:
    """Passes over a text of this size: ``EPOCHS``, or more if that makes too few steps."""
    return max(EPOCHS, min(MAX_EPOCHS, -(-ENOUGH_WORDS // max(1, words))))


def train_vectors(
    corpus: WordCorpus,
    units: WordUnits,
    settings: Any,
    *,
    seed: int,
    reporter: Reporter,
) -> np.ndarray:
    """Train the vectors of all units.

    Args:
        settings: ``Word2VecSettings`` or ``FastTextSettings``.

    Returns:
        (units.size, dimension) float32: a vector per word, then one per bucket of n-grams. With
        n-grams, a word's vector is already the mean of its own and those of its n-grams.
    """
    rng = np.random.default_rng(seed)
    table = _first_vectors(units, settings, rng)
    step = _compiled_step(units, settings, table)
    keep = keep_probabilities(units, settings.sample)
    negatives = negative_distribution(units)
    epochs = settings.epochs or default_epochs(corpus.words)
    total, done, steps = epochs * corpus.words, 0, 0
    for _ in range(epochs):
        for blocks, words in epoch_blocks(corpus, keep, window=settings.window, rng=rng):
            rate = max(LAST_RATE, settings.rate * (1 - done / total))
            drawn = rng.random((len(blocks.centers), SHARED_NEGATIVES))
            samples = np.searchsorted(negatives, drawn).clip(max=len(negatives) - 1)
            step(blocks, samples.astype(np.int32), rate)
            done += words
            steps += 1
            interrupts.check()
            if steps % 50 == 0:
                reporter.update("training", done, total)
    return _composed(units, table.numpy())


def _first_vectors(units: WordUnits, settings: Any, rng: np.random.Generator) -> Any:
    import tensorflow as tf

    size = (units.size, settings.dimension)
    spread = (2 if units.buckets else 1) / (2 * settings.dimension)
    first = rng.random(size, dtype=np.float32)
    first = (first - np.float32(0.5)) * np.float32(2 * spread)
    with tf.device("CPU:0"):
        return tf.Variable(first)


def _composed(units: WordUnits, table: np.ndarray) -> np.ndarray:
    """The table with each word's vector replaced by the mean of its units."""
    if not units.buckets:
        return table
    starts, ids = ngram_table(units)
    composed = table.copy()
    for first in range(0, len(units.words), 4096):
        last = min(first + 4096, len(units.words))
        inside = ids[starts[first] : starts[last]]
        sums = np.add.reduceat(table[inside], starts[first:last] - starts[first], axis=0)
        composed[first:last] = sums / np.diff(starts[first : last + 1])[:, None]
    return composed


def _compiled_step(
    units: WordUnits, settings: Any, table: Any
) -> Callable[[Blocks, np.ndarray, float], None]:
    """One training step, compiled for tables of this size.

    Args:
        table: variable (units.size, dimension), updated by the steps.
    """
    import tensorflow as tf

    words, window = len(units.words), settings.window
    subwords = ngram_table(units) if units.buckets else None
    with tf.device("CPU:0"):
        outputs = tf.Variable(tf.zeros((words, settings.dimension)))
    distance = np.abs(np.arange(BLOCK + 2 * window) - window - np.arange(BLOCK)[:, None])
    distance = tf.constant(distance, tf.int32)[None]  # (1, BLOCK, BLOCK + 2 window)
    shared = settings.negatives / SHARED_NEGATIVES
    skipgram = settings.architecture == "skip-gram"

    def scaled(gradient: Any, curvature: Any, ids: Any, rate: Any, size: int) -> Any:
        """Gradients (n, dimension) of the rows ``ids`` times the rate of each row."""
        sums = rate * tf.gather(tf.math.unsorted_segment_sum(curvature, ids, size), ids)
        factor = tf.where(sums > 1e-3, (1 - tf.exp(-sums)) / tf.maximum(sums, 1e-3), 1.0)
        return gradient * (rate * factor)[:, None]

    def pairs(logits: Any, weight: Any, *, positive: bool) -> tuple[Any, Any]:
        """Gradient of the log likelihood by the logit, and its curvature."""
        probability = tf.sigmoid(logits)
        slope = weight * (1 - probability if positive else -probability)
        return slope, weight * probability * (1 - probability)

    def norms(vectors: Any) -> Any:
        return tf.reduce_sum(vectors * vectors, -1)

    def flat(array: Any) -> Any:
        return tf.reshape(array, (-1, settings.dimension))

    def gradients(read: Any, output: Any, negative: Any, mask: Any) -> Any:
        """Gradients and curvatures of the input, output and sampled vectors.

        Args:
            read: (blocks, n, dimension) vectors that a prediction is made from.
            output: (blocks, m, dimension) vectors of the words to predict.
            negative: (blocks, SHARED_NEGATIVES, dimension).
            mask: (blocks, BLOCK, BLOCK + 2 window) valid pairs of center and context.
        """
        if skipgram:  # read = centers, output = contexts
            predicting, targets, weight = read, output, mask
            count = tf.reduce_sum(mask, 2, keepdims=True)
        else:  # read = contexts, output = centers
            inside = tf.reduce_sum(mask, 2, keepdims=True)
            mean = mask / tf.maximum(inside, 1)
            predicting = tf.matmul(mean, read)
            targets = output
            count = tf.cast(inside > 0, tf.float32)
            weight = tf.eye(BLOCK)[None] * count
        slope, bend = pairs(tf.matmul(predicting, targets, transpose_b=True), weight, positive=True)
        weight = tf.broadcast_to(count * shared, (tf.shape(count)[0], BLOCK, SHARED_NEGATIVES))
        other, other_bend = pairs(
            tf.matmul(predicting, negative, transpose_b=True), weight, positive=False
        )
        by_predicting = tf.matmul(slope, targets) + tf.matmul(other, negative)
        bend_predicting = tf.linalg.matvec(bend, norms(targets)) + tf.linalg.matvec(
            other_bend, norms(negative)
        )
        by_output = tf.matmul(slope, predicting, transpose_a=True)
        bend_output = tf.linalg.matvec(bend, norms(predicting), transpose_a=True)
        by_negative = tf.matmul(other, predicting, transpose_a=True)
        bend_negative = tf.linalg.matvec(other_bend, norms(predicting), transpose_a=True)
        if skipgram:
            by_read, bend_read = by_predicting, bend_predicting
        else:  # as in word2vec.c, every context word receives the whole gradient of their mean
            by_read = tf.matmul(mask, by_predicting, transpose_a=True)
            bend_read = tf.linalg.matvec(mask, bend_predicting, transpose_a=True)
        return (by_read, bend_read), (by_output, bend_output), (by_negative, bend_negative)

    def mask_of(center_texts: Any, context_texts: Any, reach: Any) -> Any:
        same = center_texts[:, :, None] == context_texts[:, None, :]
        near = (distance > 0) & (distance <= reach[:, :, None])
        return tf.cast(same & near & (center_texts >= 0)[:, :, None], tf.float32)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(
        centers: Tensor,
        contexts: Tensor,
        center_texts: Tensor,
        context_texts: Tensor,
        reach: Tensor,
        samples: Tensor,
        unique: Tensor,
        starts: Tensor,
        members: Tensor,
        rate: Tensor,
    ) -> None:
        read, output = (centers, contexts) if skipgram else (contexts, centers)
        if subwords is None:
            vectors = tf.gather(table, read)
        else:
            # ``read`` numbers the distinct words; word w has the units where ``members`` is w.
            parts = tf.gather(table, unique)
            sizes = tf.cast(starts, tf.float32)[:, None]
            means = tf.math.segment_sum(parts, members) / sizes
            vectors = tf.gather(means, read)
        mask = mask_of(center_texts, context_texts, reach)
        by_read, by_output, by_negative = gradients(
            vectors, tf.gather(outputs, output), tf.gather(outputs, samples), mask
        )
        ids = tf.reshape(read, (-1,))
        gradient, bend = flat(by_read[0]), tf.reshape(by_read[1], (-1,))
        if subwords is None:
            change = scaled(gradient, bend, ids, rate, words)
            table.scatter_add(tf.IndexedSlices(change, ids))
        else:
            count = tf.shape(starts)[0]
            by_word = tf.math.unsorted_segment_sum(gradient, ids, count)
            # As in fastText, every unit receives the whole gradient of their mean.
            bends = tf.math.unsorted_segment_sum(bend, ids, count)
            gradient, bend = tf.gather(by_word, members), tf.gather(bends, members)
            change = scaled(gradient, bend, unique, rate, units.size)
            table.scatter_add(tf.IndexedSlices(change, unique))
        ids = tf.concat([tf.reshape(output, (-1,)), tf.reshape(samples, (-1,))], 0)
        gradient = tf.concat([flat(by_output[0]), flat(by_negative[0])], 0)
        bend = tf.concat([tf.reshape(by_output[1], (-1,)), tf.reshape(by_negative[1], (-1,))], 0)
        outputs.scatter_add(tf.IndexedSlices(scaled(gradient, bend, ids, rate, words), ids))

    none = np.zeros(0, np.int32)

    def run(blocks: Blocks, samples: np.ndarray, rate: float) -> None:
        centers, contexts = blocks.centers, blocks.contexts
        unique = starts = members = none
        if subwords is not None:
            read = centers if skipgram else contexts
            found, numbers = np.unique(read, return_inverse=True)
            numbers = numbers.reshape(read.shape).astype(np.int32)
            unique, starts, members = _gather_units(found, *subwords)
            centers, contexts = (numbers, contexts) if skipgram else (centers, numbers)
        with tf.device("CPU:0"):
            step(
                *map(tf.constant, (centers, contexts, blocks.center_texts, blocks.context_texts)),
                *map(tf.constant, (blocks.reach, samples, unique, starts, members)),
                tf.constant(rate, tf.float32),
            )

    return run


def _gather_units(
    words: np.ndarray, starts: np.ndarray, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The units of some words, concatenated.

    Returns:
        Their ids (n,), the number of units of each word (words,), and the word of each unit (n,).
    """
    sizes = np.diff(starts)[words]
    members = np.repeat(np.arange(len(words)), sizes)
    within = np.arange(len(members)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = starts[words][members] + within
    return ids[places], sizes.astype(np.int32), members.astype(np.int32)
