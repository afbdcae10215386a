"""Alternating least squares against the normal equations."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.recsys.losses.als import als, fold_in

ALPHA, L2 = 3.0, 2.0


def table(users=25, items=12, *, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((users, items)) < 0.3) * rng.integers(1, 4, (users, items)).astype("f4")


def by_normal_equations(x, others):
    """Hu et al. 2008, equation 4, one row at a time."""
    solved = []
    for row in x:
        confidence = np.diag(1 + ALPHA * row)
        left = others.T @ confidence @ others + L2 * np.eye(others.shape[1])
        solved.append(np.linalg.solve(left, others.T @ confidence @ (row > 0)))
    return np.array(solved)


def loss(x, users, items):
    confidence = 1 + ALPHA * x
    errors = confidence * np.square((x > 0) - users @ items.T)
    return errors.sum() + L2 * (np.square(users).sum() + np.square(items).sum())


def test_fold_in_solves_the_normal_equations():
    x = table()
    items = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)
    found = fold_in(csr_array(x), items, alpha=ALPHA, l2=L2)
    assert found == pytest.approx(by_normal_equations(x, items.astype(float)), abs=1e-4)


def test_rounds_end_where_both_sides_are_solved():
    x = table()
    users, items = als(csr_array(x), factors=3, alpha=ALPHA, l2=L2, iterations=300, seed=0)
    assert users == pytest.approx(by_normal_equations(x, items.astype(float)), abs=1e-3)
    assert items == pytest.approx(by_normal_equations(x.T, users.astype(float)), abs=1e-3)


def test_every_round_lowers_the_loss():
    x = table()
    rounds = [
        loss(x, *als(csr_array(x), factors=4, alpha=ALPHA, l2=L2, iterations=count, seed=0))
        for count in (1, 2, 4, 8)
    ]
    assert rounds == sorted(rounds, reverse=True)


def test_the_seed_decides():
    events = csr_array(table())
    first, again, other = (
        als(events, factors=4, alpha=ALPHA, l2=L2, iterations=2, seed=seed)[1] for seed in (0, 0, 1)
    )
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_who_has_no_events_has_no_factors():
    x = table()
    x[3], x[:, 5] = 0, 0
    users, items = als(csr_array(x), factors=4, alpha=ALPHA, l2=L2, iterations=3, seed=0)
    assert not users[3].any()
    assert not items[5].any()
