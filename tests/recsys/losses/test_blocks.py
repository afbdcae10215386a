"""The largest values of rows, against sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from aitk.recsys.losses.blocks import largest, largest_weights

# Few different values, so that many are equal.
VALUES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 3e-9])


def by_sorting(row, keep):
    order = sorted(range(len(row)), key=lambda column: (-row[column], column))
    kept = [column for column in order if row[column] > 0][:keep]
    missing = keep - len(kept)
    return kept + [0] * missing, [float(row[column]) for column in kept] + [0.0] * missing


@given(arrays(np.float32, (3, 7), elements=VALUES.map(np.float32)), st.integers(1, 9))
def test_largest_is_a_stable_sort(values, keep):
    columns, found = largest(values, keep=keep)
    wanted = [by_sorting(row, keep) for row in values]
    assert columns.tolist() == [columns for columns, _ in wanted]
    assert found.tolist() == [values for _, values in wanted]


@given(arrays(np.float32, (3, 7), elements=VALUES.map(np.float32)), st.integers(1, 9))
def test_sparse_and_dense_rows_give_the_same(values, keep):
    dense, sparse = largest(values, keep=keep), largest(csr_array(values), keep=keep)
    assert dense[0].tolist() == sparse[0].tolist()
    assert dense[1].tolist() == sparse[1].tolist()


def test_of_weights_the_size_counts_and_the_sign_stays():
    weights = np.array([[0, 0.5, 0], [-2, 0, 0], [1, -0.1, 0]], np.float32)
    numbers, found = largest_weights(weights, keep=2)
    assert numbers.tolist() == [[1, 2], [0, 2], [0, 0]]
    assert found == pytest.approx(np.array([[-2, 1], [0.5, -0.1], [0, 0]]))
