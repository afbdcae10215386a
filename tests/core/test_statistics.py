"""Intervals and paired tests, against closed forms, SciPy and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.core.statistics import (
    bootstrap_interval,
    compare_paired,
    mcnemar,
    paired_bootstrap,
    resample_counts,
)


def test_resamples_draw_as_many_rows_as_there_are():
    counts = np.concatenate(list(resample_counts(7, resamples=50, seed=0)))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()


def test_the_same_seed_draws_the_same_resamples():
    first, again = (next(resample_counts(9, resamples=5, seed=3)) for _ in range(2))
    assert (first == again).all()
    assert (first != next(resample_counts(9, resamples=5, seed=4))).any()


def interval_of_mean(values, *, resamples, seed):
    return bootstrap_interval(
        lambda counts: counts @ values / len(values), len(values), resamples=resamples, seed=seed
    )


def test_interval_of_a_mean_is_near_the_normal_one():
    values = np.random.default_rng(0).normal(size=2000)
    low, high = interval_of_mean(values, resamples=4000, seed=1)
    half_width = 1.96 * values.std() / math.sqrt(2000)
    assert low == pytest.approx(values.mean() - half_width, abs=0.004)
    assert high == pytest.approx(values.mean() + half_width, abs=0.004)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(300):
        low, high = interval_of_mean(rng.random(80) < 0.7, resamples=300, seed=trial)
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / 300 <= 0.99


def test_samples_on_which_a_statistic_is_undefined_are_left_out():
    # The mean of the first row's draws is defined only where it was drawn.
    def first_row(counts):
        drawn = counts[:, 0]
        return np.stack([np.where(drawn > 0, 2.0, np.nan), np.full(len(counts), np.nan)], axis=1)

    low, high = bootstrap_interval(first_row, 5, resamples=100, seed=0)
    assert low[0] == high[0] == 2.0
    assert np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 0), (1, 0), (0, 5), (3, 9), (10, 10), (120, 90)]
)
def test_mcnemar_is_the_binomial_test_on_disagreements(only_a, only_b):
    from scipy.stats import binomtest

    a = np.array([1] * only_a + [0] * only_b + [1, 1, 0])
    b = np.array([0] * only_a + [1] * only_b + [1, 1, 0])
    p_value, test = mcnemar(a, b)
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert test == "McNemar, exact"
    assert p_value == pytest.approx(expected, rel=1e-12)


def test_mcnemar_of_many_disagreements_is_chi_square():
    from scipy.stats import chi2

    a = np.array([1] * 800 + [0] * 700)
    p_value, test = mcnemar(a, 1 - a)
    assert test == "McNemar, chi-square"
    assert p_value == pytest.approx(chi2.sf(99**2 / 1500, 1), rel=1e-12)


def test_paired_bootstrap_finds_a_difference_that_is_there():
    rng = np.random.default_rng(0)
    a = rng.random(500)
    better = paired_bootstrap(a, a + 0.02 + 0.05 * rng.normal(size=500), seed=1)
    assert 0 < better.low < better.value < better.high
    assert better.p_value < 0.001


def test_paired_bootstrap_of_equal_systems_shows_nothing():
    scores = np.array([0.0, 0.5, 1.0, 0.25] * 10)
    same = paired_bootstrap(scores, scores)
    assert (same.value, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_both_ways_of_drawing_agree():
    # 0/1 scores have few distinct differences; a tiny jitter makes every one distinct.
    rng = np.random.default_rng(0)
    a, b = rng.random(400) < 0.7, rng.random(400) < 0.8
    few = paired_bootstrap(a, b, seed=2)
    many = paired_bootstrap(a, b + 1e-9 * rng.random(400), seed=3)
    assert few.low == pytest.approx(many.low, abs=0.004)
    assert few.high == pytest.approx(many.high, abs=0.004)


def test_correctness_is_compared_by_mcnemar_and_other_scores_by_bootstrap():
    assert compare_paired(np.array([1, 0, 1]), np.array([1, 1, 1])).test == "McNemar, exact"
    assert compare_paired(np.array([0.5, 0, 1]), np.array([1, 1, 1])).test == "paired bootstrap"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_swapping_the_systems_mirrors_the_comparison(pairs):
    a, b = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    forth, back = compare_paired(a, b), compare_paired(b, a)
    assert forth.value == pytest.approx(-back.value)
    assert forth.p_value == back.p_value
    assert forth.low <= forth.value + 1e-12
    assert forth.high >= forth.value - 1e-12
