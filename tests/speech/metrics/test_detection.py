"""Misses against false alarms: by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.speech.metrics.detection import detection_curve, detection_details


def test_each_threshold_trades_misses_for_false_alarms():
    curve = detection_curve(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
    assert curve.thresholds.tolist() == [0.1, 0.4, 0.6, 0.9, np.inf]
    assert curve.misses.tolist() == [0, 0, 0.5, 0.5, 1]
    assert curve.false_alarms.tolist() == [1, 0.5, 0.5, 0, 0]


def test_the_curve_is_that_of_scikit_learn():
    from sklearn.metrics import roc_curve

    rng = np.random.default_rng(0)
    is_keyword = rng.random(200) < 0.3
    scores = np.round(rng.normal(size=200) + is_keyword, 1)
    curve = detection_curve(scores, is_keyword)
    false, true, thresholds = roc_curve(is_keyword, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.thresholds, thresholds[::-1])
    np.testing.assert_allclose(curve.false_alarms, false[::-1], atol=1e-12)
    np.testing.assert_allclose(curve.misses, 1 - true[::-1], atol=1e-12)


def test_the_equal_error_rate_is_where_both_are_equal():
    rng = np.random.default_rng(1)
    is_keyword = np.arange(20_000) < 10_000
    curve = detection_curve(rng.normal(size=20_000) + 2 * is_keyword, is_keyword)
    assert curve.equal_error == pytest.approx(0.1587, abs=0.01)  # a normal's tail beyond 1
    perfect = detection_curve(np.array([0.0, 1.0]), np.array([False, True]))
    assert perfect.equal_error == 0


def test_false_alarms_are_counted_by_the_hour():
    targets = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])
    seconds = np.array([1.0, 1.0, 1800.0, 1800.0])
    found = detection_details(targets, probabilities, seconds, ["on", "off"])
    on = found["tables"]["Detection of each keyword"][0]
    assert on["label"] == "on"
    assert on["misses at 0.5 false alarms/h"] == 0.5  # 0.9 alone is above every other row
    assert on["misses at 1 false alarms/h"] == 0  # 0.3 lets in the row of 0.6, once an hour
    assert on["false alarms/h as predicted"] == 1


def test_labels_without_both_kinds_of_row_are_left_out():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    found = detection_details(np.array([0, 0]), probabilities, np.ones(2), ["on", "off"])
    assert found == {"tables": {"Detection of each keyword": []}, "det": {}}
