"""Images split into patches: the visible ones, and the targets of the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitk.vision.features.patches import (
    choose_visible,
    fill_in,
    hidden_pixels,
    normalise_patches,
    own_rng,
    patch_statistics,
)


def test_the_requested_number_of_patches_is_visible():
    visible = choose_visible(50, 16, shown=4, rng=np.random.default_rng(0))
    assert visible.shape == (50, 4)
    assert all(len(set(row)) == 4 for row in visible.tolist())
    assert (np.diff(visible, axis=1) > 0).all()
    assert set(visible.ravel().tolist()) == set(range(16))


def test_hidden_pixels_are_those_of_patches_not_shown():
    hidden = hidden_pixels(np.array([[0, 5]], np.int32), (4, 6), patch=2)
    assert hidden[0].astype(int).tolist() == [
        [0, 0, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
    ]


def test_patches_lose_their_mean_and_deviation():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3)).astype(np.uint8)
    patch = normalise_patches(images, patch=4)[1, 4:8, 8:12]
    expected = images[1, 4:8, 8:12].astype(float)
    expected = (expected - expected.mean()) / np.sqrt(expected.var() + 1)
    assert patch == pytest.approx(expected, abs=1e-4)


def test_a_flat_patch_has_no_target():
    flat = np.full((1, 4, 4, 3), 77, np.uint8)
    assert (normalise_patches(flat, patch=4) == 0).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_correct_predictions_restore_the_image(seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    told = normalise_patches(images, patch=4)
    everything = np.ones((2, 8, 8), bool)
    assert (fill_in(images, told, everything, patch=4) == images).all()


def test_what_was_shown_stays_as_it_is():
    images = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    hidden = hidden_pixels(np.array([[0]], np.int32), (8, 8), patch=4)
    filled = fill_in(images, np.zeros((1, 8, 8, 3), np.float32), hidden, patch=4)
    assert (filled[0, :4, :4] == images[0, :4, :4]).all()
    mean, _ = patch_statistics(images, patch=4)
    assert filled[0, 4:] == pytest.approx(np.broadcast_to(mean[0, 4:], (4, 8, 3)), abs=0.51)


def test_an_image_has_its_own_holes():
    one, other = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    assert own_rng(one).integers(1 << 30) == own_rng(one.copy()).integers(1 << 30)
    assert own_rng(one).integers(1 << 30) != own_rng(other).integers(1 << 30)
