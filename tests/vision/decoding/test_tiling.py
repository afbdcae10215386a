"""Images split into tiles, and the merged predictions of the tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.vision.decoding.tiling import at_least, label_in_tiles, piece_of, tile_starts
from aitk.vision.features.geometry import GREY, VOID

SIZE = (16, 24)


@given(st.integers(1, 300), st.integers(2, 60), st.floats(0.0, 0.9))
def test_tiles_cover_everything_and_overlap(length, tile, overlap):
    starts = tile_starts(length, tile, overlap=overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - tile)
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= max(1, tile * (1 - overlap)) + 1).all()


def test_starts_are_those_one_would_write_down():
    assert tile_starts(10, 10) == [0]
    assert tile_starts(3, 10) == [0]
    assert tile_starts(16, 8, overlap=0.5) == [0, 4, 8]
    assert tile_starts(20, 8, overlap=0.25) == [0, 6, 12]


def by_red(tiles):
    """A model that predicts each pixel's class from its red value: 0, 1 or 2."""
    scores = np.zeros((*tiles.shape[:3], 3), np.float32)
    for number in range(3):
        scores[..., number] = np.where(tiles[..., 0] == number, 0.8, 0.1)
    return scores


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 9))
def test_a_model_of_single_pixels_is_unchanged_by_tiles(height, width, batch_size):
    rng = np.random.default_rng(height * 100 + width)
    image = rng.integers(0, 3, (height, width, 3)).astype(np.uint8)
    mask, certainty = label_in_tiles(image, SIZE, by_red, batch_size=batch_size)
    assert mask.dtype == np.uint8
    assert (mask == image[..., 0]).all()
    assert certainty == pytest.approx(0.8)


def test_scores_are_the_weighted_mean_of_the_tiles_over_a_pixel():
    """Against an image of sums that is held as a whole."""
    from aitk.vision.decoding.tiling import _weights

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)

    def by_place(tiles):
        """A model for which a pixel's class depends on where in the tile it lies."""
        ramp = np.linspace(0, 1, tiles.shape[2])[None, None, :] * tiles[..., 0] / 255
        return np.stack([ramp, 1 - ramp], axis=-1).astype(np.float32)

    total, weight = np.zeros((40, 50, 2)), np.zeros((40, 50, 1))
    for top in tile_starts(40, 16):
        for left in tile_starts(50, 24):
            piece = np.s_[top : top + 16, left : left + 24]
            each = _weights(SIZE)[:, :, None]
            total[piece] += each * by_place(image[piece][None])[0]
            weight[piece] += each
    mask, certainty = label_in_tiles(image, SIZE, by_place, batch_size=2)
    assert certainty == pytest.approx((total / weight).max(axis=2), abs=1e-6)
    assert (mask == (total / weight).argmax(axis=2)).mean() > 0.999


def test_tiles_are_scored_in_batches_of_the_given_size():
    seen = []

    def watched(tiles):
        seen.append(tiles.shape)
        return by_red(tiles)

    label_in_tiles(np.zeros((30, 90, 3), np.uint8), SIZE, watched, batch_size=3)
    assert {shape[1:] for shape in seen} == {(*SIZE, 3)}
    assert max(shape[0] for shape in seen) == 3


def test_a_small_image_is_padded_with_grey_and_void():
    image, mask = np.zeros((4, 40, 3), np.uint8), np.zeros((4, 40), np.uint8)
    assert at_least(image, SIZE, fill=GREY).shape == (16, 40, 3)
    piece, truth = piece_of(image, mask, SIZE, rng=np.random.default_rng(0))
    assert piece.shape == (16, 24, 3)
    assert (piece[:4] == 0).all() and (piece[4:] == GREY).all()
    assert (truth[:4] == 0).all() and (truth[4:] == VOID).all()


def test_crops_show_every_part_with_its_mask():
    y, x = np.mgrid[:20, :30]
    image = np.stack([y, x, x], axis=2).astype(np.uint8)
    rng = np.random.default_rng(1)
    corners = set()
    for _ in range(200):
        piece, mask = piece_of(image, x.astype(np.uint8), SIZE, rng=rng)
        assert (piece[..., 1] == mask).all()
        corners.add((int(piece[0, 0, 0]), int(piece[0, 0, 1])))
    assert corners == {(top, left) for top in range(5) for left in range(7)}
    middle, _ = piece_of(image, x.astype(np.uint8), SIZE)
    assert middle[0, 0, :2].tolist() == [2, 3]
