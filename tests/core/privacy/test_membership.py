import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from aitk.core.privacy.membership import attack_losses


def test_the_area_is_that_of_the_roc_curve_ties_included():
    rng = np.random.default_rng(0)
    members, others = rng.gamma(2, 1, 300).round(1), rng.gamma(2, 1.4, 200).round(1)
    truth = np.r_[np.ones(300), np.zeros(200)]
    expected = roc_auc_score(truth, -np.r_[members, others])
    found = attack_losses(members, others)
    assert found.auc.value == pytest.approx(expected)
    assert found.auc.low < expected < found.auc.high


def test_rows_that_nothing_sets_apart_give_one_half():
    losses = np.linspace(0, 1, 500)
    found = attack_losses(losses, losses)
    assert found.auc.value == pytest.approx(0.5)
    assert found.sure <= 0.01
    assert found.advantage == pytest.approx(0, abs=1e-9)


def test_rows_that_are_known_by_heart_are_all_found():
    found = attack_losses(np.zeros(50), np.ones(60))
    assert (found.auc.value, found.sure, found.advantage) == (1.0, 1.0, 1.0)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    truth, held = 0.6382, 0  # of normal losses half a deviation apart
    for _ in range(400):
        auc = attack_losses(rng.normal(0, 1, 150), rng.normal(0.5, 1, 150)).auc
        held += auc.low <= truth <= auc.high
    assert 0.92 <= held / 400 <= 0.98
