"""Errors of predicted numbers are those of scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.metrics.regression import mean_ranks, mean_score, score_regression


@pytest.fixture(scope="module")
def rows():
    """Stars from 1 to 5, and predictions that agree somewhat."""
    rng = np.random.default_rng(0)
    targets = rng.integers(1, 6, 200).astype(float)
    return targets, np.round(targets + rng.normal(size=200), 1)


def test_metrics_equal_those_of_scikit_learn_and_scipy(rows):
    targets, predictions = rows
    found = {name: score.value for name, score in score_regression(*rows).metrics.items()}
    assert found == pytest.approx(
        {
            "rmse": reference.root_mean_squared_error(targets, predictions),
            "mae": reference.mean_absolute_error(targets, predictions),
            "r2": reference.r2_score(targets, predictions),
            "spearman": stats.spearmanr(targets, predictions).statistic,
        }
    )


def test_equal_values_share_their_rank(rows):
    np.testing.assert_array_equal(mean_ranks(rows[0]), stats.rankdata(rows[0]))


def test_intervals_hold_the_value_and_resamples_are_of_the_main_metric(rows):
    evaluation = score_regression(*rows, resamples=200)
    for score in evaluation.metrics.values():
        assert score.low < score.value < score.high
    ones = np.ones((1, 200))
    assert evaluation.resampled(ones) == pytest.approx([evaluation.metrics["rmse"].value])


def test_a_constant_has_no_correlation(rows):
    assert "spearman" not in score_regression(rows[0], np.ones(200)).metrics
    assert set(score_regression(np.ones(5), np.ones(5)).metrics) == {"rmse", "mae"}


def test_rows_that_cannot_be_scored_are_refused():
    with pytest.raises(DataError, match="no rows"):
        score_regression(np.zeros(0), np.zeros(0))
    with pytest.raises(ArtifactError, match="not finite"):
        score_regression(np.zeros(1), np.array([np.nan]))


def test_the_baseline_is_the_mean():
    measured = mean_score({"mean": 2.5}).measure([{}] * 2, {"target": np.ones(2)})
    assert measured["prediction"].tolist() == [2.5, 2.5]
