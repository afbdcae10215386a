"""Masked speech: codes that name what is there, and what is hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.speech.best_rq import Quantiser, choose_steps, code_usage, hide_frames


def frames(count: int, d: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, d)).astype("float32")


def test_a_code_is_the_nearest_entry():
    quantiser = Quantiser(6, 2, codes=20, code_size=4)
    some = frames(8)
    found = quantiser.codes_of(some)
    for step in range(4):
        point = np.concatenate([some[2 * step], some[2 * step + 1]]) @ quantiser._projection
        point /= np.linalg.norm(point)
        distances = np.linalg.norm(quantiser._codebook - point, axis=1)
        assert found[step] == distances.argmin()


def test_equal_quantisers_give_equal_codes_and_other_seeds_others():
    some = frames(200)
    one, same = Quantiser(6, 4).codes_of(some), Quantiser(6, 4).codes_of(some)
    np.testing.assert_array_equal(one, same)
    assert (one != Quantiser(6, 4, seed=1).codes_of(some)).mean() > 0.9


def test_codes_do_not_depend_on_loudness():
    some = frames(40)
    quantiser = Quantiser(6, 4)
    np.testing.assert_array_equal(quantiser.codes_of(some), quantiser.codes_of(3 * some))


def test_an_incomplete_step_has_a_code():
    assert Quantiser(6, 4).codes_of(frames(9)).shape == (3,)


def test_normalised_frames_use_most_of_the_codebook():
    quantiser = Quantiser(40, 1, codes=64)
    usage = code_usage(quantiser.codes_of(frames(5000, 40)), 64)
    assert usage["share"] > 0.95
    assert usage["perplexity"] > 40
    shifted = code_usage(quantiser.codes_of(frames(5000, 40) + 20), 64)
    assert shifted["perplexity"] < 5


@given(st.integers(1, 60), st.floats(0.01, 0.9), st.integers(1, 12), st.integers(0, 1000))
def test_something_is_always_hidden(steps, share, span, seed):
    hidden = choose_steps(steps, share=share, span=span, rng=np.random.default_rng(seed))
    assert hidden.shape == (steps,)
    assert hidden.any()


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_about_the_wanted_share_is_hidden(share):
    rng = np.random.default_rng(0)
    drawn = [choose_steps(200, share=share, span=10, rng=rng).mean() for _ in range(300)]
    assert np.mean(drawn) == pytest.approx(share, abs=0.02)


def test_hidden_steps_become_noise_and_the_others_stay():
    some, rng = frames(10) + 5, np.random.default_rng(0)
    found = hide_frames(some, np.array([True, False, True]), frames_per_step=4, rng=rng)
    np.testing.assert_array_equal(found[4:8], some[4:8])
    assert np.abs(found[[0, 1, 2, 3, 8, 9]]).max() < 1
