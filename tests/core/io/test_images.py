"""Picture files: every format, lying on their side, damaged, and larger than they look."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.core.io import images as pictures
from aitk.core.io.images import (
    decode_checked,
    decode_image,
    encode_jpeg,
    encode_png,
    image_format,
    is_animated,
    read_image,
)

RED, BLUE = (250, 10, 10), (10, 10, 250)


def red_and_blue(height=24, width=48):
    """RGB, red on the left and blue on the right."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:, : width // 2], picture[:, width // 2 :] = RED, BLUE
    return picture


def encoded(picture, suffix, *options):
    found, data = cv2.imencode(suffix, picture[..., ::-1], options)
    assert found
    return data.tobytes()


def png(width, height):
    """A PNG header, with nothing behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".bmp"])
def test_a_image_is_rgb(tmp_path, suffix):
    (tmp_path / "picture").write_bytes(encoded(red_and_blue(), suffix))
    picture = read_image(tmp_path / "picture")
    assert picture.shape == (24, 48, 3)
    np.testing.assert_allclose(picture[12, [4, 44]].astype(int), [RED, BLUE], atol=40)


def test_a_lossy_webp_has_another_header(tmp_path):
    data = encoded(red_and_blue(), ".webp", cv2.IMWRITE_WEBP_QUALITY, 50)
    assert data[12:16] == b"VP8 "
    (tmp_path / "picture").write_bytes(data)
    assert read_image(tmp_path / "picture").shape == (24, 48, 3)


def test_a_grey_image_has_three_equal_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((3, 4), 99, np.uint8))
    assert (read_image(tmp_path / "grey.png") == 99).all()


def test_a_photo_is_turned_upright(tmp_path):
    data = encoded(red_and_blue(), ".jpg")
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)  # orientation 6: turn right
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "photo.jpg").write_bytes(data[:2] + segment + data[2:])
    picture = read_image(tmp_path / "photo.jpg")
    assert picture.shape == (48, 24, 3)
    np.testing.assert_allclose(picture[[4, 44], 12].astype(int), [RED, BLUE], atol=40)


@pytest.mark.parametrize(
    "data",
    [
        png(40_000, 40_000),
        b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(20),
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 30_000, -30_000) + bytes(30),
        b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xff\xff\x00" * 2,
        b"\xff\xd8\xff\xff\xe0\0\4ab\xff\xc2\0\x11\x08" + struct.pack(">HH", 65_000, 65_000),
    ],
    ids=["png", "gif", "bmp", "webp", "jpeg"],
)
def test_a_header_with_excessive_size_is_refused_before_decoding(tmp_path, monkeypatch, data):
    monkeypatch.setattr(cv2, "imdecode", None)
    (tmp_path / "bomb").write_bytes(data)
    with pytest.raises(DataError, match="pixels, more than 50,000,000"):
        read_image(tmp_path / "bomb")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_half_a_file_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    data = encoded(noise, suffix)
    (tmp_path / "half").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="damaged"):
        read_image(tmp_path / "half")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    (tmp_path / "large.png").write_bytes(encoded(red_and_blue(), ".png"))
    with pytest.raises(DataError, match="larger than 10 bytes"):
        read_image(tmp_path / "large.png")


@pytest.mark.parametrize("name", ["missing.png", ".", "a\0b"])
def test_what_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(DataError):
        read_image(tmp_path / name)


@given(st.sampled_from([".png", ".jpg", ".webp", ".gif", ".bmp"]), st.data())
def test_any_bytes_give_a_image_or_one_line(tmp_path_factory, suffix, data):
    content = bytearray(encoded(red_and_blue(8, 8), suffix))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    try:
        assert read_image(path).dtype == np.uint8
    except DataError as error:
        assert str(path) in error.line


@pytest.mark.parametrize(
    ("suffix", "name"),
    [(".png", "PNG"), (".jpg", "JPEG"), (".webp", "WebP"), (".gif", "GIF"), (".bmp", "BMP")],
)
def test_bytes_are_decoded_like_a_file(tmp_path, suffix, name):
    data = encoded(red_and_blue(), suffix)
    (tmp_path / "picture").write_bytes(data)
    picture = read_image(tmp_path / "picture")
    np.testing.assert_array_equal(decode_image(data, "x"), picture)
    np.testing.assert_array_equal(decode_checked(data), picture)
    assert image_format(data) == name
    assert not is_animated(data)


def test_a_jpeg_that_lacks_its_middle_is_damaged():
    noise = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8), (9, 9), 3
    )
    data = encoded(noise, ".jpg")
    with pytest.raises(DataError, match="here.jpg: is damaged or truncated"):
        decode_image(data[: len(data) // 2] + data[-2:], "here.jpg")


def test_stray_bytes_between_the_segments_of_a_jpeg_do_no_harm():
    data = encoded(red_and_blue(), ".jpg")
    stray = data[:-2] + b"\0\0\0" + data[-2:]
    np.testing.assert_array_equal(decode_image(stray, ""), decode_image(data, ""))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animated_image_is_refused_or_its_first_frame_used(tmp_path, suffix):
    path = tmp_path / f"moving{suffix}"
    animation = cv2.Animation()
    animation.frames = [red_and_blue()[..., ::-1].copy(), np.full((24, 48, 3), 90, np.uint8)]
    animation.durations = [100, 100]
    assert cv2.imwriteanimation(str(path), animation)
    with pytest.raises(DataError, match="is animated"):
        decode_image(path.read_bytes(), "")
    assert read_image(path).shape == (24, 48, 3)


def test_images_are_encoded_as_they_are():
    picture = red_and_blue()
    for few_colours in (False, True):
        data = encode_png(picture, few_colours=few_colours)
        np.testing.assert_array_equal(decode_image(data, ""), picture)
    np.testing.assert_array_equal(decode_image(encode_png(picture[..., 0]), "")[..., 0],
                                  picture[..., 0])  # fmt: skip
    near = decode_image(encode_jpeg(picture), "")
    np.testing.assert_allclose(near[12, [4, 44]].astype(int), [RED, BLUE], atol=10)


@given(st.sampled_from([".png", ".webp", ".gif"]), st.data())
def test_any_bytes_are_animated_or_not(suffix, data):
    content = bytearray(encoded(red_and_blue(8, 8), suffix))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert is_animated(bytes(content[: data.draw(st.integers(0, len(content)))])) in (True, False)


def test_a_png_chunk_that_claims_gigabytes_is_refused_before_decoding(monkeypatch):
    whole = encoded(red_and_blue(), ".png")
    bomb = whole[:33] + struct.pack(">I", 0xFFFF_FFF0) + b"zTXt" + whole[33:]
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(DataError, match="damaged or truncated"):
        decode_image(bomb, "a.png")


def test_a_image_without_pixels_is_refused():
    with pytest.raises(DataError, match="has 0 x 7 pixels"):
        decode_image(png(0, 7), "a.png")


def test_a_jpeg_of_very_many_scans_is_refused():
    whole = encoded(red_and_blue(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert decode_image(whole, "a.jpg").shape == (24, 48, 3)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    assert decode_image(whole + last * 200, "a.jpg").shape == (24, 48, 3)  # after its end
    with pytest.raises(DataError, match="scans, more than 100"):
        decode_image(whole[:-2] + last * 200 + b"\xff\xd9", "a.jpg")
