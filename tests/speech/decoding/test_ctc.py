"""Connectionist temporal classification: against sums over all paths, and by eye."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.speech.decoding.ctc import (
    collapse,
    ctc_targets,
    force_align,
    greedy,
    log_softmax,
    min_steps,
    word_times,
)
from aitk.speech.features.tokenizers.units import Units, learn_units

BLANK = 0
UNITS = st.lists(st.integers(1, 3), max_size=6)


def path_log_probability(log_probabilities, units) -> float:
    """The forward algorithm of Graves et al. 2006, section 4.1, state by state."""
    states = [BLANK]
    for unit in units:
        states += [unit, BLANK]
    before = [log_probabilities[0, states[0]], *[-np.inf] * (len(states) - 1)]
    if units:
        before[1] = log_probabilities[0, states[1]]
    for step in log_probabilities[1:]:
        now = []
        for at, unit in enumerate(states):
            reached = [before[at]] + ([before[at - 1]] if at else [])
            if at > 1 and unit not in (BLANK, states[at - 2]):
                reached.append(before[at - 2])
            now.append(np.logaddexp.reduce(reached) + step[unit])
        before = now
    return float(np.logaddexp.reduce(before[-2:]))


def random_steps(steps: int, units: int, seed: int = 0) -> np.ndarray:
    return log_softmax(2 * np.random.default_rng(seed).normal(size=(steps, units)))


def all_paths(log_probabilities: np.ndarray):
    steps, units = log_probabilities.shape
    for path in itertools.product(range(units), repeat=steps):
        yield path, log_probabilities[np.arange(steps), path].sum()


def test_repeats_become_one_and_blanks_part_them():
    assert collapse([0, 1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    assert collapse([]) == []


def test_greedy_reads_the_best_unit_of_each_step():
    best = [3, 3, 0, 1, 1]
    assert greedy(np.log(np.eye(4)[best] * 0.9 + 0.025)) == [3, 1]


@given(UNITS)
def test_a_text_fits_its_least_steps_and_no_fewer(units):
    steps = min_steps(units)
    if steps == 0:
        return
    some = random_steps(steps, 4)
    assert np.isfinite(path_log_probability(some, units))
    if steps > 1:
        assert path_log_probability(some[:-1], units) == -np.inf


@pytest.mark.parametrize("units", [[], [1], [1, 1], [1, 2], [2, 1, 2]])
def test_a_texts_probability_is_the_sum_over_its_paths(units):
    some = random_steps(5, 3)
    total = sum(np.exp(p) for path, p in all_paths(some) if collapse(path) == units)
    assert path_log_probability(some, units) == pytest.approx(np.log(total))


@pytest.mark.parametrize("units", [[1], [1, 1], [1, 2], [2, 1, 2]])
def test_alignment_lies_on_the_best_path(units):
    some = random_steps(5, 3, seed=1)
    best, _ = max(
        ((path, p) for path, p in all_paths(some) if collapse(path) == units),
        key=lambda pair: pair[1],
    )
    spans = force_align(some, units)
    path = np.zeros(5, int)
    for span in spans:
        path[span.start : span.end] = span.unit
    assert path.tolist() == list(best)
    for span in spans:
        wanted = np.exp(some[span.start : span.end, span.unit]).mean()
        assert span.confidence == pytest.approx(wanted)


def test_alignment_refuses_a_text_that_is_too_long():
    with pytest.raises(DataError, match="need 3 steps"):
        force_align(random_steps(2, 3), [1, 1])
    assert force_align(random_steps(2, 3), []) == []


def test_words_have_times_and_the_confidence_of_their_weakest_unit():
    units = learn_units(["ab b"], kind="char")  # <blank> ▁ a b
    best = [0, 2, 2, 3, 1, 0, 3, 0]
    sure = np.full((8, 4), 0.02)
    sure[np.arange(8), best] = [0.94, 0.94, 0.94, 0.5, 0.94, 0.94, 0.94, 0.94]
    steps = np.log(sure / sure.sum(axis=1, keepdims=True))
    found = word_times(force_align(steps, units.encode("ab b")), units, step_s=0.04)
    assert [(each["word"], each["start"], each["end"]) for each in found] == [
        ("ab", 0.04, 0.16),
        ("b", 0.24, 0.28),
    ]
    assert found[0]["confidence"] == pytest.approx(0.5 / 0.56, abs=1e-3)


def test_a_long_text_is_aligned_as_well():
    units = [1, 2] * 100
    path = [number for unit in units for number in (unit, 0)]
    spans = force_align(np.log(np.eye(4)[path] * 0.9 + 0.025), units)
    assert [(span.unit, span.start) for span in spans] == [
        (unit, 2 * at) for at, unit in enumerate(units)
    ]


def test_subwords_are_put_together_into_words():
    units = Units("subword", ("<blank>", "▁", "▁ta", "xi", "x"))
    steps = np.log(np.full((8, 5), 0.2))
    for numbers in ([2, 3, 2], [2, 3, 1, 4]):
        spans = force_align(steps, numbers)
        words = [each["word"] for each in word_times(spans, units, step_s=0.01)]
        assert words == units.decode(numbers).split()


def test_the_keras_loss_is_minus_the_log_probability():
    from aitk.speech.losses.ctc_loss import CtcLoss

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 9, 5)).astype("float32")
    texts, steps = [[1, 2, 2, 4], [3], [1, 1]], [9, 6, 4]
    targets = ctc_targets(texts, steps)
    assert targets.tolist() == [[9, 1, 2, 2, 4], [6, 3, 0, 0, 0], [4, 1, 1, 0, 0]]
    wanted = [
        -path_log_probability(log_softmax(logits[row, : steps[row]]), texts[row])
        for row in range(3)
    ]
    found = np.asarray(CtcLoss(per_unit=False, reduction=None)(targets, logits))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    found = np.asarray(CtcLoss(reduction=None)(targets, logits))
    np.testing.assert_allclose(found, np.array(wanted) / [4, 1, 2], rtol=1e-5)


def test_keras_own_loss_has_the_same_values():
    import keras

    from aitk.speech.losses.ctc_loss import ctc_losses

    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 7, 4)).astype("float32")
    units, steps = np.array([[1, 1, 3], [2, 0, 0]], "int32"), np.array([7, 5], "int32")
    own = keras.ops.nn.ctc_loss(units, logits, np.array([3, 1]), steps, mask_index=0)
    np.testing.assert_allclose(np.asarray(ctc_losses(units, logits, steps)), own, rtol=1e-5)


def test_a_text_too_long_for_its_sound_teaches_nothing():
    import keras
    import tensorflow as tf

    from aitk.speech.losses.ctc_loss import ctc_losses

    logits = np.zeros((2, 3, 4), "float32")
    units, steps = np.array([[1, 1, 1], [1, 2, 3]], "int32"), np.array([3, 3], "int32")
    variable = keras.Variable(logits)
    with tf.GradientTape() as tape:
        losses = ctc_losses(units, variable.value, steps)
    gradient = np.asarray(tape.gradient(losses, variable.value))
    np.testing.assert_allclose(losses, [0, 3 * np.log(4)], rtol=1e-6)
    assert (gradient[0] == 0).all()
    assert np.abs(gradient[1]).sum() > 1
