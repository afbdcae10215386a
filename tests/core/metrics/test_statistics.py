"""Intervals and paired tests, against closed forms, SciPy and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.core.contract.task import Evaluation, Score
from aitk.core.metrics.statistics import (
    bootstrap_scores,
    compare_paired,
    describe_intervals,
    mcnemar,
    measure_drop,
    paired_bootstrap,
    ratio_statistic,
    resample_counts,
    score_proportion,
)


def test_resamples_draw_as_many_rows_as_there_are():
    counts = np.concatenate(list(resample_counts(7, resamples=50, seed=0)))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()


def test_the_same_seed_draws_the_same_resamples():
    first, again = (next(resample_counts(9, resamples=5, seed=3)) for _ in range(2))
    assert (first == again).all()
    assert (first != next(resample_counts(9, resamples=5, seed=4))).any()


def score_of_mean(values, *, resamples=1000, seed=0):
    (score,) = bootstrap_scores(
        lambda counts: (counts @ values / counts.sum(axis=1))[:, None],
        len(values),
        resamples=resamples,
        seed=seed,
    )
    return score


def test_interval_of_a_mean_is_near_the_normal_one():
    values = np.random.default_rng(0).normal(size=2000)
    score = score_of_mean(values, resamples=4000, seed=1)
    half_width = 1.96 * values.std() / math.sqrt(2000)
    assert score.low == pytest.approx(values.mean() - half_width, abs=0.005)
    assert score.high == pytest.approx(values.mean() + half_width, abs=0.005)
    assert score.interval == "BCa bootstrap"


def test_bca_intervals_are_those_of_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).exponential(size=60)
    score = score_of_mean(values, resamples=20_000)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=1)
    assert score.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert score.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)


def test_intervals_have_about_nominal_coverage():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(300):
        score = score_of_mean(rng.exponential(size=60), resamples=300, seed=trial)
        covered += score.low <= 1 <= score.high
    assert 0.89 <= covered / 300 <= 0.98


def test_there_is_no_interval_of_a_constant_nor_of_few_rows():
    assert score_of_mean(np.ones(50)).low is None
    assert score_of_mean(np.arange(9.0)).low is None
    assert score_of_mean(np.arange(10.0)).low is not None
    assert score_of_mean(np.arange(50.0), resamples=0).low is None


def test_samples_on_which_a_statistic_is_undefined_are_left_out():
    # The mean of the first row's draws is defined only where it was drawn.
    def first_row(counts):
        drawn = counts[:, 0]
        values = np.where(drawn > 0, drawn / drawn.clip(1) + drawn, np.nan)
        return np.stack([values, np.full(len(counts), np.nan)], axis=1)

    first, nothing = bootstrap_scores(first_row, 20, resamples=200, seed=0)
    assert first.low == 2.0 and np.isfinite(first.high)
    assert np.isnan(nothing.value) and nothing.low is None and nothing.as_json() is None


def test_a_statistic_that_resampling_moves_has_a_percentile_interval():
    def spread(counts):  # of draws, which no sample of all rows once has
        return (1 + counts.var(axis=1) + counts[:, 0] / 100)[:, None]

    (score,) = bootstrap_scores(spread, 30, resamples=300, seed=0)
    assert score.interval == "percentile bootstrap"
    assert score.low == score.value < score.high


@pytest.mark.parametrize(("successes", "trials"), [(4, 4), (0, 3), (7, 10), (950, 1000)])
def test_shares_have_wilsons_interval(successes, trials):
    from scipy.stats import binomtest

    score = score_proportion(successes, trials)
    theirs = binomtest(successes, trials).proportion_ci(method="wilson")
    assert (score.low, score.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert score.interval == "Wilson"


def test_the_share_of_nothing_is_undefined():
    assert score_proportion(0, 0).as_json() is None


def test_the_methods_of_intervals_are_named_once():
    scores = [score_proportion(3, 4).as_json(), {"value": 1.0}, score_proportion(1, 4).as_json()]
    assert describe_intervals(scores) == "95% intervals: Wilson for proportions of rows"
    assert describe_intervals([{"value": 1.0}]) == ""


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


def test_the_drop_is_of_the_metric_itself_with_a_paired_interval():
    def scored(errors):
        errors, lengths = np.tile(errors, 3), np.tile([10.0, 5, 20, 5], 3)
        rate = ratio_statistic(errors, lengths)
        value = float(rate(np.ones((1, 12)))[0])
        return Evaluation({"wer": Score(value)}, errors / lengths, statistic=rate)

    before, after = scored(np.array([1.0, 0, 2, 1])), scored(np.array([2.0, 1, 3, 2]))
    drop = measure_drop(before, after, metric="wer", higher_is_better=False, resamples=500)
    assert drop.value == pytest.approx(4 / 40)  # not the mean of the rows' own rates
    assert 0 < drop.low <= drop.value <= drop.high and drop.sure


def test_a_drop_of_nothing_is_not_sure():
    same = Evaluation({"accuracy": Score(0.5)}, np.array([1.0, 0, 1, 0]))
    drop = measure_drop(same, same, metric="accuracy", higher_is_better=True, resamples=100)
    assert (drop.value, drop.sure) == (0, False)
