"""Search, against sorting all cosines."""

from __future__ import annotations

import numpy as np
import pytest

from aitk.nlp.decoding import neighbours
from aitk.nlp.decoding.neighbours import NeighbourGraph, nearest, ranks, unit_rows


def test_the_nearest_are_those_of_a_full_sort_regardless_of_the_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    queries, vectors = unit_rows(rng.normal(size=(5, 8))), unit_rows(rng.normal(size=(50, 8)))
    expected = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :7]
    for block in (3, 16, 100):
        monkeypatch.setattr(neighbours, "BLOCK_ROWS", block)
        found, cosines = nearest(queries, vectors, count=7)
        assert (found == expected).all()
        assert np.allclose(cosines, np.take_along_axis(queries @ vectors.T, expected, 1))


def test_excluded_rows_are_not_found():
    vectors = unit_rows(np.eye(3))
    found, _ = nearest(vectors[:1], vectors, count=1, exclude=np.array([[0]]))
    assert found[0, 0] != 0


def test_ranks_count_those_that_are_nearer_and_share_ties():
    queries = unit_rows(np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert ranks(queries, unit_rows(np.array([[1.0, 0.1], [0.0, 1.0]]))).tolist() == [1, 2]
    assert ranks(queries, queries).tolist() == [1.5, 1.5]


@pytest.mark.search
def test_a_graph_finds_nearly_all_of_the_nearest_with_their_exact_cosines():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 16))
    made = [centres[rng.integers(20, size=n)] + 0.5 * rng.normal(size=(n, 16)) for n in (2000, 40)]
    vectors, queries = map(unit_rows, made)
    graph = NeighbourGraph(vectors)
    found, cosines = graph.nearest(queries, count=5)
    exact, _ = nearest(queries, vectors, count=5)
    pairs = zip(found.tolist(), exact.tolist(), strict=True)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in pairs]) > 0.95
    for row, query in enumerate(queries):
        np.testing.assert_allclose(cosines[row], vectors[found[row]] @ query, atol=1e-6)
    assert (np.diff(cosines, axis=1) <= 0).all()
    one, _ = graph.nearest(queries[:1], count=5)
    np.testing.assert_array_equal(one, found[:1])


@pytest.mark.search
def test_a_graph_of_few_texts_gives_all_of_them():
    vectors = unit_rows(np.eye(3))
    found, _ = NeighbourGraph(vectors).nearest(vectors[1:2], count=10)
    assert found[0, 0] == 1 and sorted(found[0]) == [0, 1, 2]
