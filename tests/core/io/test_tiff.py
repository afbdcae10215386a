"""TIFF: headers, depths, pages, and files that claim too much."""

import struct

import cv2
import numpy as np
import pytest

from aitk.core.contract.errors import DataError
from aitk.core.io.images import bits_of, decode_deep, decode_image, has_pages, image_format
from aitk.core.io.tiff import read_header

RAMP = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)


def encode(values):
    return cv2.imencode(".tif", values)[1].tobytes()


def entries(*pairs, following=0):
    """A little-endian TIFF file of nothing but its first directory."""
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in pairs)
    return b"II*\0" + struct.pack("<IH", 8, len(pairs)) + packed + struct.pack("<I", following)


def test_a_tiff_file_is_a_picture():
    colours = np.zeros((20, 30, 3), np.uint8)
    colours[..., 2] = 200  # red, as OpenCV orders it
    data = encode(colours)
    assert image_format(data) == "TIFF"
    assert decode_image(data, "")[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_the_header_has_size_and_depth(kind):
    header = read_header(encode(RAMP.astype(kind)))
    assert (header.width, header.height, header.bits) == (30, 20, np.dtype(kind).itemsize * 8)


def test_deep_values_stay_what_they_are():
    data = encode(RAMP)
    assert bits_of(data) == 16
    np.testing.assert_array_equal(decode_deep(data, "")[..., 1], RAMP)
    halves = decode_deep(encode(RAMP.astype(np.float32) / 2), "")
    np.testing.assert_array_equal(halves[..., 0], RAMP / 2)


def test_further_pages_are_seen():
    pages = cv2.imencodemulti(".tif", [RAMP, RAMP])[1].tobytes()
    assert has_pages(pages)
    assert not has_pages(encode(RAMP))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (entries((256, 100_000), (257, 100_000)), "more than"),
        (entries((256, 30), (257, 20), (277, 200)), "has 200 channels"),
        (entries((256, 30), (257, 20), (322, 2**31), (323, 2**31)), "has tiles"),
        (entries((256, 30), (257, 20)), "is damaged"),
        (entries()[:9], "is not a JPEG"),
        (b"MM\0*\xff\xff\xff\xff", "is not a JPEG"),
    ],
)
def test_what_claims_too_much_or_is_damaged_is_refused(content, reason):
    with pytest.raises(DataError, match=reason):
        decode_image(content, "")
