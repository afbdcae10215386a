"""SLIM: the conditions that its minimum fulfils."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.recsys.losses.slim import slim, usual_l2


def table(users=60, items=10, *, seed=0):
    rng = np.random.default_rng(seed)
    taste = rng.random((users, 2)) @ rng.random((2, items))
    return (rng.random((users, items)) < taste).astype(np.float32)


def dense(numbers, weights):
    found = np.zeros((len(numbers), len(numbers)))
    np.add.at(found, (numbers, np.arange(len(numbers))[:, None]), weights)
    return found


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 1.0), (2.0, 5.0), (10.0, 50.0)])
def test_the_minimum_is_reached(l1, l2):
    x = table().astype(float)
    found = slim(csr_array(x.astype(np.float32)), l1=l1, l2=l2, neighbours=9)
    weights = dense(*found)
    assert (weights >= 0).all()
    assert not np.diag(weights).any()
    gradient = x.T @ (x @ weights - x) + l2 * weights + l1
    np.fill_diagonal(gradient, 0)
    # Karush, Kuhn and Tucker: flat where a weight is, upwards where it is held at zero.
    scale = np.abs(x.T @ x).max()
    assert np.abs(gradient[weights > 0]).max() < 2e-3 * scale
    assert gradient[weights == 0].min() > -2e-3 * scale


def test_only_the_most_similar_items_have_weights():
    numbers, weights = slim(csr_array(table()), l1=0.0, l2=1.0, neighbours=3)
    assert numbers.shape == weights.shape == (10, 3)
    assert (np.diff(weights, axis=1) <= 0).all()


def test_a_large_lasso_penalty_leaves_nothing():
    numbers, weights = slim(csr_array(table()), l1=1000.0, l2=1.0, neighbours=3)
    assert not weights.any()
    assert not numbers.any()


def test_small_logs_take_a_larger_penalty():
    assert usual_l2(10) == pytest.approx(200)
    assert usual_l2(35_000) == pytest.approx(200)
    assert usual_l2(56_125) == pytest.approx(100, rel=1e-3)
    assert usual_l2(1_000_000) == pytest.approx(50)
