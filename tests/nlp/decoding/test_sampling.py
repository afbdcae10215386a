"""Writing on: which token is drawn, and when a text ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.metrics.classification import softmax
from aitk.nlp.decoding.sampling import LENGTH_STEP, choose_token, continue_texts

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


class Counting:
    """A model that puts the next number after the last one read, until 9; then the end."""

    def __init__(self):
        self.shapes = []

    def __call__(self, inputs):
        ids, mask = inputs["token_ids"], inputs["padding_mask"]
        assert (ids[mask == 0] == 0).all()
        self.shapes.append(ids.shape)
        logits = np.zeros((*ids.shape, 11))
        following = np.where(ids == 9, END, ids + 1)
        np.put_along_axis(logits, following[..., None], 5.0, -1)
        return logits


def likeliest(row, logits):
    del row
    return int(logits.argmax())


def test_each_text_is_continued_until_it_ends():
    model = Counting()
    told = {"tokens": 4, "max_length": 50, "end_id": END, "never": [10], "choose": likeliest}
    assert continue_texts([[1, 2], [8], [9]], model, **told) == [[3, 4, 5, 6], [9, END], [END]]
    # Texts that have ended are not read again; lengths are rounded up.
    assert model.shapes == [(3, LENGTH_STEP), (2, LENGTH_STEP), (1, LENGTH_STEP), (1, LENGTH_STEP)]


def test_a_long_text_is_continued_from_its_last_tokens():
    model = Counting()
    told = {"tokens": 3, "max_length": 4, "end_id": END, "never": [], "choose": likeliest}
    assert continue_texts([[9, 9, 9, 1, 2, 3, 4]], model, **told) == [[5, 6, 7]]
    assert set(model.shapes) == {(1, 4)}


def test_what_must_not_be_written_is_not():
    told = {"tokens": 1, "max_length": 9, "end_id": END, "never": [2], "choose": likeliest}
    assert continue_texts([[1]], Counting(), **told) != [[2]]
