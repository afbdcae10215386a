"""Rounded weights: half a step from the exact ones, each group by its own range."""

import numpy as np
import pytest

from aitk.core.compression.quantize import GROUPS, round_weights


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("inputs", [1, 31, 64, 127])
def test_every_weight_is_within_half_a_step(bits, inputs):
    rng = np.random.default_rng(inputs)
    scales = rng.lognormal(size=(inputs, 1))
    matrix = (rng.normal(size=(inputs, 5)) * scales + 0.1).astype(np.float32)
    codes = round_weights(matrix, bits=bits)
    found = codes.matrix(inputs)
    assert found.shape == matrix.shape and codes.codes.dtype == np.uint8
    assert len(codes.codes) == (inputs if bits == 8 else -(-inputs // 2))
    size = GROUPS[bits]
    for start in range(0, inputs, size):
        group = matrix[start : start + size]
        step = np.ptp(group, axis=0) / (2**bits - 1)
        # float16 rounds the ends of a range by 2^-11 of their size.
        allowed = 0.51 * step + np.abs(group).max(axis=0) * 2**-9
        assert (np.abs(found[start : start + size] - group) <= allowed).all()


def test_equal_weights_and_zeros_stay_what_they_are():
    matrix = np.stack([np.zeros(40), np.full(40, 0.5), np.full(40, -3.0)], axis=1)
    for bits in (8, 4):
        codes = round_weights(matrix.astype(np.float32), bits=bits)
        assert codes.matrix(40).tolist() == matrix.tolist()


def test_sixteen_levels_are_exact_in_four_bits():
    rng = np.random.default_rng(0)
    matrix = (rng.permuted(np.tile(np.arange(16), (6, 4)), axis=1).T * 0.25 - 2).astype(np.float32)
    assert round_weights(matrix, bits=4).matrix(64).tolist() == matrix.tolist()
