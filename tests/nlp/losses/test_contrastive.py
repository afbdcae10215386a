"""Losses of pairs, against the formulas written with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.nlp.losses.contrastive import (
    CosineRanking,
    CosineRegression,
    MultipleNegatives,
)


def cosines(one, two):
    one = one / np.linalg.norm(one, axis=1, keepdims=True)
    two = two / np.linalg.norm(two, axis=1, keepdims=True)
    return one @ two.T


def cross_entropy(logits):
    return np.log(np.exp(logits).sum(1)) - np.diag(logits[:, : len(logits)])


def test_every_pair_is_contrasted_with_the_others_of_the_batch():
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    loss = MultipleNegatives(2, temperature=0.5)(np.arange(6.0), vectors)
    expected = cross_entropy(cosines(vectors[0::2], vectors[1::2]) / 0.5)
    assert float(loss) == pytest.approx(expected.mean(), abs=1e-5)


def test_the_negatives_of_triplets_are_candidates_of_every_row():
    vectors = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    loss = MultipleNegatives(3, temperature=1.0)(np.arange(6.0), vectors)
    candidates = np.concatenate([vectors[1::3], vectors[2::3]])
    assert float(loss) == pytest.approx(cross_entropy(cosines(vectors[0::3], candidates)).mean(),
                                        abs=1e-5)  # fmt: skip


def test_a_partner_that_two_rows_share_is_no_negative():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], np.float32)
    loss = MultipleNegatives(2, temperature=1.0)(np.array([0, 1, 2, 1.0]), vectors)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_the_regression_loss_is_the_squared_error_of_the_cosine():
    vectors = np.array([[1, 0], [1, 1], [1, 0], [0, 2]], np.float32)
    loss = CosineRegression()(np.array([1, 1, 0.5, 0.5]), vectors)
    expected = np.mean([(np.sqrt(0.5) - 1) ** 2, 0.25])
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_the_ranking_loss_counts_the_couples_of_pairs_in_the_wrong_order():
    vectors = np.random.default_rng(2).normal(size=(8, 4)).astype(np.float32)
    scores = np.array([1.0, 3.0, 2.0, 3.0])
    found = CosineRanking(temperature=0.5)(scores.repeat(2), vectors)
    own = np.diag(cosines(vectors[0::2], vectors[1::2])) / 0.5
    couples = [(i, j) for i in range(4) for j in range(4) if scores[i] < scores[j]]
    expected = np.log(1 + sum(np.exp(own[i] - own[j]) for i, j in couples))
    assert float(found) == pytest.approx(expected, abs=1e-4)
