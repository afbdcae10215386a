"""Deltas: Kaldi's numbers, and the slope of a line."""

import kaldi_native_fbank as kaldi
import numpy as np
import pytest

from aitk.speech.features.deltas import add_deltas


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_agrees_with_kaldi(order, frames):
    features = np.random.default_rng(0).standard_normal((frames, 5)).astype(np.float32)
    options = kaldi.DeltaOptions()
    options.order, options.window = order, 2
    np.testing.assert_allclose(
        add_deltas(features, order=order), kaldi.compute_deltas(options, features), atol=1e-5
    )


def test_a_line_has_a_constant_slope_and_no_curvature():
    line = 3.0 * np.arange(20, dtype=np.float32)[:, None]
    found = add_deltas(line, order=2)
    np.testing.assert_allclose(found[4:-4, 1], 3.0, atol=1e-6)
    np.testing.assert_allclose(found[4:-4, 2], 0.0, atol=1e-5)


def test_order_0_and_no_frames():
    features = np.ones((4, 2), np.float32)
    assert add_deltas(features, order=0) is features
    assert add_deltas(features[:0], order=2).shape == (0, 6)
