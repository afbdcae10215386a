"""Images that look the same."""

import cv2
import numpy as np
import pytest

from aitk.vision.data.quality import near_duplicates
from aitk.vision.data.quality.near_duplicates import (
    MAX_BITS,
    MIN_CORRELATION,
    SmallCopies,
    find_pairs,
    image_hash,
)


def blobs(seed, size=64):
    """A soft image (size, size) uint8."""
    noise = np.random.default_rng(seed).normal(0, 1, (size, size)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), size / 10)
    return cv2.normalize(soft, None, 20, 230, cv2.NORM_MINMAX).astype(np.uint8)


def bits(left, right):
    return int(np.bitwise_count(image_hash(left) ^ image_hash(right)).sum())


CHANGES = {
    "smaller": lambda image: cv2.resize(image, (40, 40), interpolation=cv2.INTER_AREA),
    "jpeg": lambda image: cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0
    ),
    "brighter": lambda image: np.clip(image * 1.1 + 10, 0, 255).astype(np.uint8),
    "noisy": lambda image: np.clip(
        image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255
    ).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_looks_the_same(change):
    for seed in range(5):
        assert bits(blobs(seed), CHANGES[change](blobs(seed))) <= MAX_BITS


def digit(draw):
    """A white stroke on black, as handwritten digits are."""
    image = np.zeros((28, 28), np.uint8)
    draw(image)
    return cv2.GaussianBlur(image, (0, 0), 0.7)


def correlation(left, right):
    copies = SmallCopies()
    copies.add(left), copies.add(right)
    return float(copies.correlations(np.array([[0, 1]]))[0])


@pytest.mark.parametrize("change", CHANGES)
def test_the_small_copies_of_a_changed_copy_are_alike(change):
    for seed in range(5):
        assert correlation(blobs(seed), CHANGES[change](blobs(seed))) >= MIN_CORRELATION


def test_a_handwritten_0_and_9_are_not_alike():
    zero = digit(lambda image: cv2.ellipse(image, (14, 14), (5, 9), 0, 0, 360, 255, 2))

    def draw_nine(image):
        cv2.ellipse(image, (14, 10), (5, 5), 0, 0, 360, 255, 2)
        cv2.ellipse(image, (14, 14), (5, 9), 0, -60, 90, 255, 2)

    assert correlation(zero, digit(draw_nine)) < MIN_CORRELATION


def test_other_images_do_not():
    assert min(bits(blobs(seed), blobs(seed + 1)) for seed in range(30)) > 3 * MAX_BITS


def test_pairs_are_those_that_comparing_all_would_find():
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 256, (300, 16), dtype=np.uint8)
    groups = rng.integers(0, 3, 300)
    for row in range(0, 200, 2):  # its neighbour differs in up to ten bits
        changed = np.unpackbits(hashes[row])
        changed[rng.choice(128, rng.integers(0, 11), replace=False)] ^= 1
        hashes[row + 1] = np.packbits(changed)
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=-1)
    wanted = {
        (a, b)
        for a, b in np.argwhere(distances <= MAX_BITS).tolist()
        if a < b and groups[a] != groups[b]
    }
    assert len(wanted) > 20
    assert set(map(tuple, find_pairs(hashes, groups).tolist())) == wanted


def test_masses_of_like_images_are_left_alone(monkeypatch):
    monkeypatch.setattr(near_duplicates, "_MAX_PAIRS", 10)
    hashes = np.zeros((20, 16), np.uint8)
    assert len(find_pairs(hashes, np.arange(20) % 2)) == 0
    assert len(find_pairs(hashes[:4], np.arange(4) % 2)) == 4


def test_few_rows_and_one_group():
    assert find_pairs(np.zeros((0, 16), np.uint8), np.zeros(0, int)).shape == (0, 2)
    assert find_pairs(np.zeros((3, 16), np.uint8), np.zeros(3, int)).shape == (0, 2)
