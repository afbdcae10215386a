"""Exact search, against sorting all cosines."""

from __future__ import annotations

import numpy as np

from aitk.nlp.decoding import neighbours
from aitk.nlp.decoding.neighbours import nearest, ranks, unit_rows


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
