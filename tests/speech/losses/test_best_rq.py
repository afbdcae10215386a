"""Masked speech: codes that name what is there, and what is hidden."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.speech.losses.best_rq import (
    Quantiser,
    choose_steps,
    code_usage,
    hide_frames,
    principal_components,
)


def frames(count: int, d: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, d)).astype("float32")


def test_a_code_is_the_nearest_entry():
    quantiser = Quantiser(6, 2, codes=20, code_size=4, codebooks=3)
    some = frames(8)
    found = quantiser.codes_of(some)
    assert found.shape == (4, 3)
    mean, matrix = quantiser._projection
    assert not mean.any()
    for step in range(4):
        point = np.concatenate([some[2 * step], some[2 * step + 1]]) @ matrix
        point /= np.linalg.norm(point)
        for codebook in range(3):
            distances = np.linalg.norm(quantiser._codebooks[codebook] - point, axis=1)
            assert found[step, codebook] == distances.argmin()


def test_several_codebooks_begin_with_the_one():
    some = frames(80)
    one, four = (Quantiser(6, 4, codebooks=count).codes_of(some) for count in (1, 4))
    np.testing.assert_array_equal(one[:, 0], four[:, 0])
    assert (four[:, 0] != four[:, 1]).mean() > 0.9


def test_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    # Six numbers, of which the first drowns the others, as loudness does.
    steps = frames(500) @ np.random.default_rng(1).standard_normal((6, 6)) + [90, 0, 0, 0, 0, 3]
    steps[:, 0] *= 20
    found = principal_components(iter([steps[:200], steps[200:]]), 4)
    mine = (steps - np.array(found.mean)) @ np.array(found.directions)
    theirs = PCA(4, whiten=True).fit_transform(steps)
    # A component has no sign, and scikit-learn divides by one row fewer.
    np.testing.assert_allclose(np.abs(mine), np.abs(theirs) * np.sqrt(500 / 499), rtol=1e-5)


def test_components_that_do_not_vary_are_left_out():
    steps = np.repeat(frames(100, 2), 3, axis=1)  # six numbers that hold but two
    found = principal_components([steps], 5)
    assert np.shape(found.directions) == (6, 2)
    quantiser = Quantiser(6, 1, codes=8, code_size=5, components=found)
    assert code_usage(quantiser.codes_of(steps)[:, 0], 8)["share"] == 1


def test_by_components_codes_do_not_name_the_loudest_number():
    some = frames(4000)
    some[:, 0] *= 30
    plain = Quantiser(6, 1, codes=64, code_size=4)
    components = principal_components([some], 4)
    fair = dataclasses.replace(plain, components=components)
    # Knowing the sign of the loud number all but halves the codes that are left.
    assert _perplexity_given(plain.codes_of(some)[:, 0], some[:, 0] > 0, 64) < 0.6
    assert _perplexity_given(fair.codes_of(some)[:, 0], some[:, 0] > 0, 64) > 0.6


def _perplexity_given(codes: np.ndarray, side: np.ndarray, count: int) -> float:
    """The perplexity of codes on either side, as a share of what they have together."""
    sides = [code_usage(codes[own], count)["perplexity"] for own in (side, ~side)]
    return float(np.mean(sides)) / code_usage(codes, count)["perplexity"]


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
    assert Quantiser(6, 4).codes_of(frames(9)).shape == (3, 1)


def test_normalised_frames_use_most_of_the_codebook():
    quantiser = Quantiser(40, 1, codes=64)
    usage = code_usage(quantiser.codes_of(frames(5000, 40))[:, 0], 64)
    assert usage["share"] > 0.95
    assert usage["perplexity"] > 40
    shifted = code_usage(quantiser.codes_of(frames(5000, 40) + 20)[:, 0], 64)
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
