"""Writing on: which token is drawn, and when a text ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.decoding.continuation import continue_texts
from aitk.core.decoding.incremental import UncachedDecoder
from aitk.core.decoding.sampling import choose_token, penalize_repetition
from aitk.core.metrics.classification import softmax

END = 0


@given(st.integers(0, 1000), st.floats(0.05, 1.0), st.floats(0.2, 3.0))
def test_what_is_drawn_is_of_the_smallest_nucleus(seed, top_p, temperature):
    logits = np.random.default_rng(seed).normal(size=20) * 2
    probabilities = softmax(logits[None] / temperature)[0]
    drawn = {
        choose_token(
            logits, temperature=temperature, top_p=top_p, rng=np.random.default_rng([seed, number])
        )
        for number in range(50)
    }
    for token in drawn:
        # All tokens that are likelier have less than the asked share together.
        assert probabilities[probabilities > probabilities[token]].sum() < top_p
    if top_p < probabilities.max():
        assert drawn == {int(logits.argmax())}


def test_tokens_are_drawn_as_often_as_they_are_probable():
    wanted = np.array([0.5, 0.3, 0.15, 0.05])
    rng = np.random.default_rng(0)
    counts = np.bincount(
        [choose_token(np.log(wanted), temperature=1, top_p=1, rng=rng) for _ in range(4000)],
        minlength=4,
    )
    assert counts / 4000 == pytest.approx(wanted, abs=0.03)
    cooler = [choose_token(np.log(wanted), temperature=0.5, top_p=1, rng=rng) for _ in range(4000)]
    squared = wanted**2 / (wanted**2).sum()
    assert np.bincount(cooler, minlength=4) / 4000 == pytest.approx(squared, abs=0.03)


def test_without_temperature_it_is_the_likeliest():
    logits = np.array([0.1, 0.3, 0.2])
    assert choose_token(logits, temperature=0, top_p=1, rng=np.random.default_rng(0)) == 1


def test_top_k_leaves_the_best_alone():
    logits = np.array([0.1, 3.0, 2.9, -1.0])
    rng = np.random.default_rng(0)
    drawn = {choose_token(logits, temperature=5.0, top_p=1.0, top_k=2, rng=rng) for _ in range(200)}
    assert drawn == {1, 2}


def test_the_logit_of_a_repeated_token_is_lowered_for_both_signs():
    logits = np.array([2.0, -2.0, 1.0])
    np.testing.assert_allclose(penalize_repetition(logits, [0, 1, 1], 2.0), [1.0, -4.0, 1.0])
    assert penalize_repetition(logits, [0], 1.0) is logits


class Counting:
    """A model that puts the next number after the last one read, until 9; then the end."""

    def __init__(self):
        self.shapes = []

    def __call__(self, inputs, tokens):
        assert inputs == {}
        self.shapes.append(tokens.shape)
        logits = np.zeros((len(tokens), 11), np.float32)
        last = tokens[:, -1]
        np.put_along_axis(logits, np.where(last == 9, END, last + 1)[:, None], 5.0, -1)
        return logits


def continued(model, prompts, *, tokens, max_length):
    return continue_texts(
        UncachedDecoder(model),
        prompts,
        tokens=tokens,
        max_length=max_length,
        choose=lambda row, logits, before: int(logits.argmax()),
        is_over=lambda row, new: new[-1] == END,
    )


def test_each_text_is_continued_until_it_ends_and_dropped_then():
    model = Counting()
    found = continued(model, [[1, 2], [8], [9]], tokens=4, max_length=50)
    assert found == [[3, 4, 5, 6], [9, END], [END]]
    # The first reads its own second token while the others have new ones.
    assert model.shapes == [(3, 1), (2, 2), (1, 3), (1, 4), (1, 5)]


def test_a_long_text_is_continued_from_its_last_tokens_and_continues_beyond_the_window():
    model = Counting()
    assert continued(model, [[9, 9, 9, 1, 2, 3, 4]], tokens=3, max_length=4) == [[5, 6, 7]]
    assert max(shape[1] for shape in model.shapes) <= 4
    assert continued(Counting(), [[1]], tokens=9, max_length=3) == [[2, 3, 4, 5, 6, 7, 8, 9, END]]
