"""Similarities of items and users, against loops over pairs."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from aitk.core.contract.errors import UsageError
from aitk.recsys.losses import products
from aitk.recsys.losses.products import gram_matrix, item_products
from aitk.recsys.losses.similarities import item_neighbours


def ratings(users=15, items=9, *, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((users, items)) < 0.4) * rng.integers(1, 6, (users, items)).astype("f4")


def pair(table, i, j, similarity, shrinkage):
    """The similarity of two items, as its definition reads."""
    table = table.astype(float)
    rated = table > 0
    if similarity == "jaccard":
        both = sum(rated[:, i] & rated[:, j])
        return both / (sum(rated[:, i]) + sum(rated[:, j]) - both + shrinkage)
    if similarity == "adjusted-cosine":
        for row, known in zip(table, rated, strict=True):
            if known.any():
                row[known] -= row[known].mean()
    product = sum(a * b for a, b in zip(table[:, i], table[:, j], strict=True))
    lengths = [math.sqrt(sum(a * a for a in table[:, column])) for column in (i, j)]
    return product / (lengths[0] * lengths[1] + shrinkage) if product else 0.0


@pytest.fixture(params=["by rows", "sparse", "mixed", "dense"])
def way(request, monkeypatch):
    """Each way to compute X^T X."""
    cost = {"by rows": 0, "sparse": 0, "mixed": 3, "dense": 1e9}[request.param]
    monkeypatch.setattr(products, "SPARSE_COST", cost)
    if request.param == "by rows":
        monkeypatch.setattr(products, "DENSE_BYTES", 0)


@pytest.mark.parametrize("shrinkage", [0.0, 3.0])
@pytest.mark.parametrize("similarity", ["cosine", "adjusted-cosine", "jaccard"])
@pytest.mark.usefixtures("way")
def test_each_similarity_is_what_its_definition_says(similarity, shrinkage):
    table = ratings()
    numbers, weights = item_neighbours(
        csr_array(table), similarity=similarity, neighbours=4, shrinkage=shrinkage
    )
    for item in range(table.shape[1]):
        others = [j for j in range(table.shape[1]) if j != item]
        known = {j: pair(table, item, j, similarity, shrinkage) for j in others}
        best = sorted((value for value in known.values() if value > 1e-7), reverse=True)[:4]
        found = [value for value in weights[item] if value > 0]
        assert found == pytest.approx(best, rel=1e-5, abs=1e-6)
        for number, weight in zip(numbers[item][: len(found)], found, strict=True):
            assert known[number] == pytest.approx(weight, rel=1e-5, abs=1e-6)


def test_neighbours_by_eye():
    # Items 0 and 1 have the same two users, item 2 one of them, item 3 nobody.
    events = csr_array(np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.float32))
    numbers, weights = item_neighbours(events, similarity="jaccard", neighbours=3)
    assert numbers.tolist() == [[1, 2, 0], [0, 2, 0], [0, 1, 0], [0, 0, 0]]
    assert weights.tolist() == [[1, 0.5, 0], [1, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0]]


def test_no_item_is_its_own_neighbour_and_all_others_may_be():
    numbers, weights = item_neighbours(
        csr_array(np.ones((3, 4), np.float32)), similarity="cosine", neighbours=100
    )
    assert numbers.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert weights == pytest.approx(np.ones((4, 3)))


def test_an_item_that_occurs_twice_counts_twice():
    twice = csr_array(
        (np.ones(4, np.float32), np.array([0, 0, 1, 2]), np.array([0, 3, 4])), shape=(2, 3)
    )
    once = csr_array(np.array([[2, 1, 0], [0, 0, 1]], np.float32))
    for similarity in ("cosine", "jaccard"):
        found, wanted = (
            item_neighbours(events, similarity=similarity, neighbours=2) for events in (twice, once)
        )
        assert found[0].tolist() == wanted[0].tolist()
        assert found[1] == pytest.approx(wanted[1])


def test_adjusted_cosine_wants_ratings_that_differ():
    with pytest.raises(UsageError, match=r"no user's ratings differ.*cosine or jaccard"):
        item_neighbours(
            csr_array(np.ones((3, 4), np.float32)), similarity="adjusted-cosine", neighbours=2
        )


@pytest.mark.usefixtures("way")
def test_the_gram_matrix_is_the_product(monkeypatch):
    monkeypatch.setattr(products, "_BLOCK_BYTES", 1)  # many blocks
    table = ratings(users=40, items=35)
    assert gram_matrix(csr_array(table)) == pytest.approx(table.T @ table)
    rows = item_products(csr_array(table))(slice(3, 5))
    rows = rows.toarray() if hasattr(rows, "toarray") else rows
    assert rows == pytest.approx((table.T @ table)[3:5])
