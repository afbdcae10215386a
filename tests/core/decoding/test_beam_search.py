"""Beam search against slow references without cache, batches and early stopping."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.decoding.beam_search import beam_search, length_penalty
from aitk.core.decoding.incremental import UncachedDecoder
from aitk.core.metrics.classification import log_softmax

START, END = 0, 1


def random_scores(seed: int, vocabulary: int):
    """A language model of random logits that depend on the row and all tokens so far."""

    def logits(source: int, tokens) -> np.ndarray:
        rng = np.random.default_rng([seed, source, *map(int, tokens)])
        return rng.normal(size=vocabulary).astype(np.float32) * 2

    def score(inputs, tokens):
        rows = zip(inputs["source"], tokens, strict=True)
        return np.stack([logits(source[0], own) for source, own in rows])

    return logits, score


class CountedDecoder(UncachedDecoder):
    """Counts the rows to predict."""

    asked = 0

    def advance(self, state, token_ids, parents=None):
        self.asked += len(token_ids)
        return super().advance(state, token_ids, parents)


def slow_beam_search(logits, source, *, vocabulary, beams, limit, alpha, best):
    """One row, all continuations listed, never stopped before the limit."""
    live, ended = [(0.0, ())], []
    for length in range(1, limit + 1):
        continued = []
        for total, ids in live:
            chances = log_softmax(logits(source, (START, *ids)))
            continued += [(total + float(chances[k]), (*ids, k)) for k in range(vocabulary)]
        continued.sort(key=lambda each: -each[0])
        continued = continued[: 2 * beams]
        ended += [
            (total / length_penalty(length, alpha), ids[:-1])
            for total, ids in continued
            if ids[-1] == END
        ]
        live = [each for each in continued if each[1][-1] != END][:beams]
    ended += [(total / length_penalty(limit, alpha), ids) for total, ids in live]
    return sorted(ended, key=lambda each: -each[0])[:best]


@given(
    seed=st.integers(0, 10_000),
    vocabulary=st.integers(3, 7),
    beams=st.integers(1, 4),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    alpha=st.sampled_from([0.0, 0.6, 1.0]),
    best=st.integers(1, 3),
)
def test_beam_search_equals_a_slow_one_without_cache_and_early_end(
    seed, vocabulary, beams, limits, alpha, best
):
    logits, score = random_scores(seed, vocabulary)
    rows = np.arange(len(limits))[:, None]
    found = beam_search(
        UncachedDecoder(score), {"source": rows}, starts=np.full((len(rows), 1), START),
        limits=limits, end_id=END, bias=np.zeros(vocabulary, np.float32), beams=beams,
        alpha=alpha, best=best,
    )  # fmt: skip
    for source, (own, limit) in enumerate(zip(found, limits, strict=True)):
        expected = slow_beam_search(
            logits, source, vocabulary=vocabulary, beams=beams, limit=limit, alpha=alpha, best=best
        )
        assert [each.ids for each in own] == [ids for _, ids in expected]
        assert [each.score for each in own] == pytest.approx([s for s, _ in expected], rel=1e-4)


def test_with_enough_beams_the_best_of_all_sequences_is_found():
    vocabulary, limit = 4, 3
    logits, score = random_scores(7, vocabulary)
    found = beam_search(
        UncachedDecoder(score), {"source": np.array([[0]])}, starts=np.array([[START]]),
        limits=[limit], end_id=END, bias=np.zeros(vocabulary, np.float32), beams=64, alpha=0.6,
    )  # fmt: skip
    scores = {}
    for length in range(1, limit + 1):
        for ids in itertools.product(range(vocabulary), repeat=length):
            if END in ids[:-1] or (ids[-1] != END and length < limit):
                continue
            total = sum(
                log_softmax(logits(0, (START, *ids[:at])))[token] for at, token in enumerate(ids)
            )
            scores[ids] = total / length_penalty(length, 0.6)
    best = max(scores, key=scores.__getitem__)
    assert found[0][0].ids == tuple(token for token in best if token != END)
    assert found[0][0].score == pytest.approx(scores[best], rel=1e-5)


def test_a_forbidden_token_is_never_written():
    _, score = random_scores(3, 6)
    bias = np.zeros(6, np.float32)
    bias[[0, 4]] = -np.inf
    found = beam_search(
        UncachedDecoder(score), {"source": np.arange(4)[:, None]}, starts=np.zeros((4, 1), int),
        limits=[8] * 4, end_id=END, bias=bias, beams=3, alpha=0.6, best=3,
    )  # fmt: skip
    assert not {0, 4} & {token for row in found for each in row for token in each.ids}


def test_rows_that_are_finished_are_not_read_further():
    def score(inputs, tokens):
        logits = np.full((len(tokens), 3), -20.0, np.float32)
        over = tokens.shape[1] >= inputs["source"][:, 0]
        logits[np.arange(len(tokens)), np.where(over, END, 2)] = 0.0
        return logits

    decoder = CountedDecoder(score)
    lengths = np.array([1, 1, 1, 1, 1, 1, 1, 30])
    beam_search(
        decoder, {"source": lengths[:, None]}, starts=np.zeros((8, 1), int), limits=[40] * 8,
        end_id=END, bias=np.zeros(3, np.float32), beams=2,
    )  # fmt: skip
    assert decoder.asked <= 8 + 2 * 30


def test_the_length_penalty_is_that_of_wu_et_al():
    assert length_penalty(7, 0.0) == 1
    assert length_penalty(1, 0.6) == pytest.approx(1.0)
    assert length_penalty(13, 1.0) == pytest.approx(3.0)
