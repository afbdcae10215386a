"""Images brought to the model's size, boxes and masks there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import UsageError
from aitk.vision.features.geometry import FITS, GREY, VOID, Fit, fit_image, fit_mask

SIDES = st.integers(1, 90)


def blocks(height: int, width: int) -> np.ndarray:
    """A mask of four quarters, classes 0 1 above 2 3."""
    rows, columns = np.arange(height) >= height / 2, np.arange(width) >= width / 2
    return (2 * rows[:, None] + columns).astype(np.uint8)


def image(height: int, width: int) -> np.ndarray:
    """Grey values that distinguish the quarters of ``blocks``."""
    return np.repeat(60 * blocks(height, width)[..., None], 3, axis=2)


def test_stretch_fills_the_size():
    fitted, fit = fit_image(image(20, 40), (10, 10), how="stretch")
    assert fitted[..., 0].tolist() == (60 * blocks(10, 10)).tolist()
    assert (fit.scale_x, fit.scale_y) == (0.25, 0.5)


def test_letterbox_keeps_the_proportions_and_puts_grey_around():
    fitted, fit = fit_image(image(10, 20), (40, 40), how="letterbox")
    assert fit == Fit(2.0, 2.0, 0.0, 10.0, 10, 20)
    assert (fitted[:10] == GREY).all() and (fitted[30:] == GREY).all()
    assert fitted[12, 5].tolist() == [0, 0, 0] and fitted[28, 35].tolist() == [180, 180, 180]


def test_crop_shows_the_middle():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    fitted, fit = fit_image(wide, (20, 20), how="crop")
    assert (fitted == 200).all()
    assert fit.left == -20.0 and fit.top == 0.0


def test_a_shrunk_image_is_averaged():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    fitted, _ = fit_image(stripes, (4, 4), how="stretch")
    assert (fitted == 100).all()


def test_an_image_of_the_right_size_is_left_alone():
    original = image(16, 16)
    for how in FITS:
        fitted, fit = fit_image(original, (16, 16), how=how)
        assert (fitted == original).all()
        assert fit == Fit(1.0, 1.0, 0.0, 0.0, 16, 16)


def test_a_strip_of_an_image_does_not_become_a_huge_one():
    fitted, fit = fit_image(np.zeros((1, 200_000, 3), np.uint8), (64, 64), how="crop")
    assert fitted.shape == (64, 64, 3)
    assert fit.scale_y == 64


def test_an_unknown_fit_names_the_nearest():
    with pytest.raises(UsageError, match="letterbox"):
        fit_image(image(4, 4), (8, 8), how="leterbox")


def test_masks_keep_their_classes_and_are_void_around():
    mask = blocks(10, 20)
    _, fit = fit_image(image(10, 20), (40, 40), how="letterbox")
    fitted = fit_mask(mask, fit, (40, 40))
    assert (fitted[:10] == VOID).all() and (fitted[30:] == VOID).all()
    assert (fitted[10:30] == blocks(20, 40)).all()
    assert (fit.mask_out(fitted) == mask).all()


def test_cropped_regions_are_restored_as_void_or_nan():
    _, fit = fit_image(image(10, 30), (20, 20), how="crop")
    classes = fit.mask_out(np.ones((20, 20), np.uint8))
    assert (classes[:, 10:20] == 1).all()
    assert (classes[:, :10] == VOID).all() and (classes[:, 20:] == VOID).all()
    scores = fit.mask_out(np.ones((20, 20, 5), np.float32))
    assert scores.shape == (10, 30, 5)
    assert (scores[:, 10:20] == 1).all() and np.isnan(scores[:, 20:]).all()


def test_scores_are_interpolated():
    _, fit = fit_image(image(4, 8), (2, 4), how="stretch")
    scores = np.tile(np.arange(4, dtype=np.float32), (2, 1))[..., None]
    assert fit.mask_out(scores)[0, :, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(FITS), st.integers(0, 2**32 - 1))
def test_boxes_there_and_back(height, width, rows, columns, how, seed):
    _, fit = fit_image(np.zeros((height, width, 3), np.uint8), (rows, columns), how=how)
    fit = Fit.from_array(fit.to_array())
    corners = np.random.default_rng(seed).uniform(0, 1, (6, 2, 2)) * (width, height)
    boxes = np.sort(corners, axis=1).reshape(6, 4).astype(np.float32)
    assert fit.boxes_out(fit.boxes_in(boxes)) == pytest.approx(boxes, abs=1e-3)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(("stretch", "letterbox")))
def test_a_box_around_the_image_is_the_box_around_its_fitted_part(
    height, width, rows, columns, how
):
    white = np.full((height, width, 3), 255, np.uint8)
    fitted, fit = fit_image(white, (rows, columns), how=how)
    inside = np.argwhere(fitted[..., 0] == 255)
    top, left = inside.min(axis=0)
    bottom, right = inside.max(axis=0) + 1
    (box,) = fit.boxes_in(np.array([[0, 0, width, height]]))
    assert box == pytest.approx([left, top, right, bottom], abs=1e-3)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(FITS))
def test_a_mask_covers_what_its_box_covers(height, width, rows, columns, how):
    mask = blocks(height, width)
    _, fit = fit_image(image(height, width), (rows, columns), how=how)
    fitted = fit_mask(mask, fit, (rows, columns))
    # The last quarter: its pixels' centres lie in its box, those of the others do not.
    box = [-(-width // 2), -(-height // 2), width, height]
    left, top, right, bottom = fit.boxes_in(np.array([box]))[0].tolist()
    y, x = np.mgrid[:rows, :columns] + 0.5
    edge = 1 + max(fit.scale_x, fit.scale_y)
    inside = (x > left + edge) & (x < right - edge) & (y > top + edge) & (y < bottom - edge)
    outside = (x < left - edge) | (x > right + edge) | (y < top - edge) | (y > bottom + edge)
    assert (fitted[inside] == 3).all()
    assert (fitted[outside] != 3).all()
    assert fit.mask_out(fitted).shape == (height, width)
