"""Scores of vectors, against SciPy and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.nlp.metrics.similarity import (
    midranks,
    score_analogies,
    score_retrieval,
    score_similarity,
)


def test_spearman_and_pearson_are_those_of_scipy_with_ties():
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(0)
    cosines = rng.normal(size=60).round(1)
    scores = (cosines + rng.normal(size=60)).round()
    found = score_similarity(cosines, scores, resamples=200)
    assert found.metrics["spearman"].value == pytest.approx(spearmanr(cosines, scores)[0])
    assert found.metrics["pearson"].value == pytest.approx(pearsonr(cosines, scores)[0])
    assert found.per_row.mean() == pytest.approx(found.metrics["spearman"].value)
    assert found.metrics["spearman"].low < found.metrics["spearman"].value


def test_a_resample_is_ranked_as_if_its_rows_were_repeated():
    from scipy.stats import spearmanr

    values, scores = np.array([3.0, 1.0, 2.0, 2.0]), np.array([1.0, 2.0, 4.0, 3.0])
    counts = np.array([[2, 1, 0, 3]])
    places = np.repeat(np.arange(4), counts[0])
    found = score_similarity(values, scores).resampled(counts.astype(float))
    assert found[0] == pytest.approx(spearmanr(values[places], scores[places])[0])
    assert midranks(values, np.ones((1, 4)))[0].tolist() == [3.5, 0.5, 2.0, 2.0]


def test_recall_counts_the_rows_whose_partner_is_among_the_nearest():
    left = np.eye(3)
    right = np.array([[1, 0, 0], [0, 0.5, 1], [0, 1, 0.4]])
    found = score_retrieval(left, right).metrics
    assert found["recall@1"].value == pytest.approx(1 / 3)
    assert found["recall@5"].value == 1
    assert found["mrr"].value == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_vectors_that_are_all_alike_find_nothing():
    assert score_retrieval(np.ones((20, 2)), np.ones((20, 2))).metrics["recall@1"].value == 0


def test_analogies_with_unknown_words_do_not_count():
    found = score_analogies(
        np.array([True, False, False]), np.array([True, True, False]), ["a", "a", "b"]
    )
    assert found.metrics["analogies"].value == 0.5
    assert found.details["sections"][1] == {"section": "b", "asked": 0, "accuracy": None}
    assert "1 of 3" in found.warnings[0]
