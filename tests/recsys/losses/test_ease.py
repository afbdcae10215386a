"""EASE against the formula of its paper."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.core.contract.errors import TrainingError
from aitk.recsys.losses import ease as fitting
from aitk.recsys.losses.ease import ease, ease_bytes, ease_with_features


def table(users=30, items=8, *, seed=0):
    return (np.random.default_rng(seed).random((users, items)) < 0.4).astype(np.float32)


def by_the_formula(x, l2):
    inverse = np.linalg.inv(x.T.astype(float) @ x + l2 * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("exact_items", [0, 6000], ids=["float32", "float64"])
def test_weights_are_those_of_the_formula(exact_items, monkeypatch):
    monkeypatch.setattr(fitting, "EXACT_ITEMS", exact_items)
    monkeypatch.setattr(fitting, "_TILE", 3)  # the triangle is mirrored in several pieces
    x = table()
    weights = ease(csr_array(x), l2=2.0)
    assert weights.dtype == np.float32
    assert weights == pytest.approx(by_the_formula(x, 2.0), abs=1e-5)


def test_no_other_weights_without_a_diagonal_are_better():
    x, l2 = table().astype(float), 2.0
    weights = ease(csr_array(x.astype(np.float32)), l2=l2).astype(float)

    def loss(w):
        return np.square(x - x @ w).sum() + l2 * np.square(w).sum()

    rng = np.random.default_rng(1)
    for _ in range(5):
        other = weights + 1e-2 * rng.normal(size=weights.shape) * (1 - np.eye(len(weights)))
        assert loss(weights) < loss(other)


def test_features_are_further_users():
    x, features = table(), table(users=8, items=5, seed=2)  # features (items, size)
    found = ease_with_features(csr_array(x), features, weight=4.0, l2=3.0)
    stacked = np.concatenate([x, 2.0 * features.T])  # the square root of 4
    assert found == pytest.approx(by_the_formula(stacked, 3.0), abs=1e-5)
    sparse = ease_with_features(csr_array(x), csr_array(features), weight=4.0, l2=3.0)
    assert sparse == pytest.approx(found, abs=1e-6)


def test_features_of_no_weight_change_nothing():
    x, features = table(), table(users=8, items=5, seed=2)
    found = ease_with_features(csr_array(x), features, weight=0.0, l2=3.0)
    assert found == pytest.approx(ease(csr_array(x), l2=3.0))


def test_twenty_thousand_items_fit_into_five_gibibytes():
    assert ease_bytes(20_000) < 5 << 30


def test_more_than_fits_is_refused_with_what_to_take(monkeypatch):
    monkeypatch.setattr(fitting, "machine", lambda folder: {"memory_available_gib": 0.1})
    with pytest.raises(TrainingError, match=r"8 items .* 0\.1 are free.*item-knn or als") as raised:
        ease(csr_array(table()), l2=1.0)
    assert raised.value.exit_code == 5


def test_a_penalty_too_small_for_the_data_is_refused():
    same = np.ones((3, 4), np.float32)  # four equal columns
    with pytest.raises(TrainingError, match="cannot be inverted.*l2"):
        ease(csr_array(same), l2=1e-30)
