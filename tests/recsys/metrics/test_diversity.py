"""Coverage, novelty, concentration and diversity, on lists that can be checked by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from aitk.recsys.metrics.diversity import (
    MOST_LISTS,
    activity_groups,
    catalogue_coverage,
    concentration,
    intra_list_diversity,
    novelty,
)

LISTS = np.array([[0, 1], [0, 2], [0, -1]])


def test_coverage_is_the_share_of_items_that_anyone_gets():
    assert catalogue_coverage(LISTS, 6) == 3 / 6


def test_novelty_is_the_mean_information_in_bits():
    # Item 0: 8 of 8 users, 0 bits; item 1: 2 of 8, 2 bits; item 2: nobody, as if 1 of 8, 3 bits.
    assert novelty(LISTS, np.array([8, 2, 0, 5]), users=8) == pytest.approx((0 * 3 + 2 + 3) / 5)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([[0], [1], [2], [3]], 0.0), ([[2], [2], [2], [2]], 3 / 4), ([[0], [0], [1], [1]], 1 / 2)],
)
def test_concentration_of_equal_of_one_and_of_half(numbers, expected):
    assert concentration(np.array(numbers), 4) == pytest.approx(expected)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_concentration_is_half_the_relative_mean_difference(numbers):
    times = np.bincount(numbers, minlength=7)
    expected = np.abs(times[:, None] - times[None]).mean() / (2 * times.mean())
    assert concentration(np.array([numbers]), 7) == pytest.approx(expected, abs=1e-12)


def test_nothing_recommended_is_undefined():
    nothing = np.full((2, 3), -1)
    assert catalogue_coverage(nothing, 4) == 0
    assert np.isnan(concentration(nothing, 4))
    assert np.isnan(novelty(nothing, np.ones(4), users=2))
    assert np.isnan(intra_list_diversity(nothing, np.eye(4)))


def naive_diversity(numbers, vectors):
    means = []
    for row in numbers:
        own = [vectors[item] for item in row if item >= 0 and vectors[item].any()]
        distances = [
            1 - own[a] @ own[b] / np.linalg.norm(own[a]) / np.linalg.norm(own[b])
            for a in range(len(own))
            for b in range(a)
        ]
        if distances:
            means.append(np.mean(distances))
    return np.mean(means)


def test_diversity_of_equal_and_of_unlike_items():
    vectors = np.array([[2.0, 0], [1, 0], [0, 3], [-1, 0], [0, 0]])
    assert intra_list_diversity(np.array([[0, 1]]), vectors) == pytest.approx(0)
    assert intra_list_diversity(np.array([[0, 2]]), vectors) == pytest.approx(1)
    assert intra_list_diversity(np.array([[0, 3]]), vectors) == pytest.approx(2)
    assert intra_list_diversity(np.array([[0, 2, 4]]), vectors) == pytest.approx(1)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_diversity_is_the_mean_over_pairs(form):
    rng = np.random.default_rng(0)
    vectors = rng.random((30, 5)) * (rng.random((30, 5)) < 0.4)
    numbers = np.array([rng.permutation(30)[:10] for _ in range(20)])
    numbers[3, 4:] = -1
    numbers[4, 1:] = -1
    found = intra_list_diversity(numbers, form(vectors))
    assert found == pytest.approx(naive_diversity(numbers, vectors), abs=1e-6)


def test_of_very_many_users_some_stand_for_all():
    numbers = np.tile([[0, 1], [0, 2]], (MOST_LISTS, 1))[1:]
    assert intra_list_diversity(numbers, np.eye(3)) == pytest.approx(1)


def test_groups_of_users_by_activity():
    lengths = np.array([1, 2, 3, 4, 5, 6, 7, 8])
    table = activity_groups(lengths, {"recall@10": lengths / 10})
    assert [(line["from"], line["to"], line["users"]) for line in table] == [
        (1, 2, 2),
        (3, 4, 2),
        (5, 6, 2),
        (7, 8, 2),
    ]
    assert table[0]["recall@10"] == pytest.approx(0.15)


def test_users_of_equal_activity_share_a_group():
    table = activity_groups(np.array([2, 2, 2, 2, 2, 9]), {"ndcg@10": np.arange(6.0)})
    assert [(line["from"], line["to"], line["users"]) for line in table] == [(2, 2, 5), (9, 9, 1)]
    assert activity_groups(np.array([]), {}) == []
