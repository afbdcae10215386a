"""Each loss against a loop over its definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.recsys.losses.slot_losses import (
    BinaryLoss,
    PairwiseLoss,
    RatingLoss,
    SoftmaxLoss,
    gbce_beta,
    ranking_loss,
)
from aitk.recsys.tasks.settings import BprSettings, NeuMfSettings, SasRecSettings, TwoTowerSettings

NEVER = -1e9


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -500 else 0.0


def softmax_of(logits, right):
    return math.log(sum(math.exp(x) for x in logits)) - logits[right]


def binary_of(logits, right, beta=1.0):
    wrong = [x for column, x in enumerate(logits) if column != right]
    likelihood = math.log(sigmoid(logits[right]) ** beta)
    likelihood += sum(math.log(1 - sigmoid(x)) for x in wrong)
    return -likelihood


def pairwise_of(logits, right):
    wrong = [x for column, x in enumerate(logits) if column != right]
    return -sum(math.log(sigmoid(logits[right] - x)) for x in wrong) / len(wrong)


CASES = {
    "softmax": (SoftmaxLoss(), softmax_of),
    "bce": (BinaryLoss(), binary_of),
    "gbce": (BinaryLoss(beta=0.3), lambda logits, right: binary_of(logits, right, beta=0.3)),
    "offset": (
        BinaryLoss(offset=-2.0),
        lambda logits, right: binary_of([x - 2 for x in logits], right),
    ),
    "pairwise": (PairwiseLoss(), pairwise_of),
}


@pytest.mark.parametrize("name", CASES)
@given(
    logits=st.lists(
        st.lists(st.floats(-8, 8, width=32), min_size=4, max_size=4), min_size=1, max_size=5
    ),
    data=st.data(),
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_a_loss_is_its_definition_over_the_weighted_slots(name, logits, data):
    loss, of_one = CASES[name]
    rights = [data.draw(st.integers(0, 3)) for _ in logits]
    weights = [data.draw(st.sampled_from([0.0, 1.0, 2.0])) for _ in logits]
    weights[0] = 1.0
    values = [of_one(row, right) for row, right in zip(logits, rights, strict=True)]
    found = float(loss(np.array([rights]), np.array([logits], np.float32), np.array([weights])))
    assert found == pytest.approx(np.average(values, weights=weights), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_column_that_must_not_count_does_not(name):
    loss, of_one = CASES[name]
    found = float(loss(np.array([[0]]), np.array([[[1.0, NEVER, 2.0]]], np.float32)))
    share = {"pairwise": 1 / 2}.get(name, 1)
    assert found == pytest.approx(share * of_one([1.0, 2.0], 0), rel=1e-5)


def test_extreme_logits_stay_finite():
    logits = np.array([[[-200.0, 200.0, 300.0]]], np.float32)
    for loss, _ in CASES.values():
        assert np.isfinite(float(loss(np.array([[0]]), logits)))


def test_beta_goes_from_plain_to_calibrated():
    assert gbce_beta(negatives=10, items=101, calibration=0.0) == pytest.approx(1.0)
    assert gbce_beta(negatives=10, items=101, calibration=1.0) == pytest.approx(0.1)
    assert gbce_beta(negatives=500, items=101, calibration=1.0) == pytest.approx(1.0)


def test_ratings_are_evaluated_in_units_of_their_spread():
    loss = RatingLoss(scale=2.0)
    found = loss(np.array([[5.0, 1.0]]), np.array([[1.0, 9.0]]), np.array([[1.0, 0.0]]))
    assert float(found) == pytest.approx(4.0)


def test_settings_name_their_loss():
    assert isinstance(ranking_loss("pairwise", BprSettings(), items=9), PairwiseLoss)
    assert isinstance(ranking_loss("softmax", TwoTowerSettings(), items=9), SoftmaxLoss)
    assert ranking_loss("bce", NeuMfSettings(), items=9).beta == 1
    assert isinstance(ranking_loss("sampled-softmax", SasRecSettings(), items=9), SoftmaxLoss)
    gbce = ranking_loss("gbce", SasRecSettings(negatives=4, calibration=1.0), items=9)
    assert gbce.beta == pytest.approx(0.5)
    assert gbce.offset == pytest.approx(math.log(0.5 / 4))  # one right column, four wrong ones
