"""Decoding of images that may be damaged, hostile, or rotated by EXIF."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.tiff import STARTS as TIFF_STARTS
from aitk.core.io.tiff import TiffHeader, read_header
from aitk.core.runtime.silence import capture_stderr

#: A file of a few kilobytes can declare gigabytes of pixels: check its header first.
MOST_PIXELS = 50_000_000
MOST_BYTES = 100_000_000
MOST_SCANS = 100
_CHECK_BYTES = 4  # the checksum after a PNG chunk


def read_image(path: Path | str) -> np.ndarray:
    """Decode a JPEG, PNG, WebP, GIF, BMP or TIFF file, upright; of several images the first.

    Returns:
        (height, width, 3) uint8 RGB, rotated by its EXIF orientation.

    Raises:
        DataError: the file is missing, too large or damaged, or not such an image.
    """
    path = Path(path)
    where = str(path)
    return decode_image(_read(path, where), where, animated=True)


def decode_image(data: bytes, where: str, *, animated: bool = False) -> np.ndarray:
    """Decode the bytes of an image file, upright.

    Args:
        data: a JPEG, PNG, WebP, GIF, BMP or TIFF file.
        where: name for errors.
        animated: read the first frame of an animated file, instead of refusing it.

    Returns:
        (height, width, 3) uint8 RGB, rotated by its EXIF orientation.

    Raises:
        DataError: it is too large, damaged, truncated or animated, or not such an image.
    """
    import cv2

    check_size(data, where)
    if not animated and is_animated(data):
        raise DataError("is animated, not a single image", where=where)
    with capture_stderr() as captured:
        try:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        except cv2.error:
            picture = None
        messages = captured()
    # Missing data inside a JPEG is filled with grey, with only a warning.
    if picture is None or _reports_damage(messages):
        raise DataError("is damaged or truncated", where=where)
    return picture


def decode_deep(data: bytes, where: str) -> np.ndarray:
    """Decode an image with more than 8 bits per channel (see ``bits_of``), upright.

    Returns:
        (height, width, 3) RGB, mostly uint16; TIFF also has int16, int32 and floats.

    Raises:
        DataError: it is too large, damaged or truncated.
    """
    import cv2

    check_size(data, where)
    picture = None
    with capture_stderr():
        for flags in (cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, cv2.IMREAD_UNCHANGED):
            try:
                picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
            except cv2.error:
                continue
            if picture is not None:
                break
    if picture is None:
        raise DataError("is damaged or truncated", where=where)
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    return picture[..., 2::-1]


def bits_of(data: bytes) -> int:
    """Bits per channel, from the file's header; 8 for formats without others."""
    if data.startswith(b"\x89PNG") and len(data) > 24:
        return data[24]
    header = read_header(data)
    return header.bits if header else 8


def has_pages(data: bytes) -> bool:
    """Whether a TIFF file has several pages."""
    header = read_header(data)
    return header is not None and header.has_more


def decode_checked(data: bytes) -> np.ndarray:
    """Decode an image accepted by ``decode_image`` before: fast, and thread-safe.

    Returns:
        (height, width, 3) uint8 RGB, rotated by its EXIF orientation.
    """
    import cv2

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise DataError("a stored image is damaged")
    return picture


def encode_png(picture: np.ndarray, *, few_colours: bool = False) -> bytes:
    """Encode an image as PNG: (height, width, 3) uint8 RGB, or (height, width) uint8 grey.

    With ``few_colours``, as from a colour map, lines are stored unfiltered: repeated colours
    compress better than differences between neighbours.
    """
    import cv2

    options = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
    channels = picture[..., ::-1] if picture.ndim == 3 else picture
    _, data = cv2.imencode(".png", np.ascontiguousarray(channels), options if few_colours else [])
    return data.tobytes()


def encode_bmp(picture: np.ndarray) -> bytes:
    """A BMP file of a picture, (height, width, 3) uint8 RGB: not compressed, so quickly made."""
    import cv2

    _, data = cv2.imencode(".bmp", np.ascontiguousarray(picture[..., ::-1]))
    return data.tobytes()


def encode_jpeg(picture: np.ndarray, *, quality: int = 95) -> bytes:
    """Encode an image as JPEG: (height, width, 3) uint8 RGB."""
    import cv2

    channels = np.ascontiguousarray(picture[..., ::-1])
    _, data = cv2.imencode(".jpg", channels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def check_size(data: bytes, where: str) -> None:
    """Raise ``DataError`` unless this is the start of an image that may be decoded."""
    size = _size(data)
    if size is None:
        raise DataError("is not a JPEG, PNG, WebP, GIF, BMP or TIFF image", where=where)
    width, height = size
    if width * height > MOST_PIXELS:
        raise DataError(f"has {width} x {height} pixels, more than {MOST_PIXELS:,}", where=where)
    if width * height == 0:
        raise DataError(f"has {width} x {height} pixels", where=where)
    if (header := read_header(data)) and (reason := _tiff_problem(header)):
        raise DataError(reason, where=where)
    if data.startswith(b"\x89PNG") and not _png_is_whole(data):
        raise DataError("is damaged or truncated", where=where)
    # Each scan of a progressive JPEG covers all pixels, and may take only a few bytes.
    if data.startswith(b"\xff\xd8") and (scans := _jpeg_scans(data)) > MOST_SCANS:
        raise DataError(f"has {scans:,} scans, more than {MOST_SCANS}", where=where)


def image_format(data: bytes) -> str | None:
    """The format of a file by its first bytes: JPEG, PNG, WebP, GIF, BMP or TIFF."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    return next((name for start, name in _STARTS.items() if data.startswith(start)), None)


def is_animated(data: bytes) -> bool:
    """Whether a GIF, WebP or PNG file is animated."""
    if data.startswith(b"GIF8"):
        return _gif_frames(data) > 1
    if data.startswith(b"RIFF"):
        return data[12:16] == b"VP8X" and bool(data[20] & 2)  # RFC 9649, section 2.7
    if data.startswith(b"\x89PNG"):
        return _png_is_animated(data)
    return False


_STARTS = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    **dict.fromkeys(TIFF_STARTS, "TIFF"),
}


def _reports_damage(messages: bytes) -> bool:
    """Whether libjpeg's warnings indicate wrong pixels.

    Stray bytes between segments, which many cameras leave, are harmless.
    """
    return any(
        line.startswith(b"Corrupt JPEG data") and b"extraneous bytes" not in line
        for line in messages.splitlines()
    )


def _gif_frames(data: bytes) -> int:
    """Count the images of a GIF, up to two (GIF89a specification, sections 17 to 27)."""
    count = 0
    try:
        place = 13 + _gif_colours(data[10])
        while count < 2 and data[place] != 0x3B:
            if data[place] == 0x2C:
                count += 1
                place += 10 + _gif_colours(data[place + 9]) + 1
            else:
                place += 2
            while data[place]:
                place += 1 + data[place]
            place += 1
    except IndexError:  # truncated: decoding will report it
        pass
    return count


def _gif_colours(flags: int) -> int:
    """Bytes of the colour table declared by the flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _png_is_animated(data: bytes) -> bool:
    """Look for the chunk acTL before the pixels (PNG, third edition, section 11.3.6.1)."""
    for kind, place, _ in _png_chunks(data):
        if kind == b"acTL":
            return data[place : place + 4] != b"\0\0\0\1"
        if kind == b"IDAT":
            return False
    return False


def _png_is_whole(data: bytes) -> bool:
    """Whether every chunk is complete: OpenCV allocates the declared size before it reads."""
    return all(place + length + _CHECK_BYTES <= len(data) for _, place, length in _png_chunks(data))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The type of each chunk, the offset of its content, and its declared length."""
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        yield kind, place + 8, length
        if kind == b"IEND":
            return
        place += 8 + length + _CHECK_BYTES


def _read(path: Path, where: str) -> bytes:
    try:
        # A pipe or device could be endless.
        if not os.path.isfile(path):
            raise DataError("no such file", where=where)
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"is larger than {MOST_BYTES:,} bytes", where=where)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=where) from error


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the file's header; None for unknown formats."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return struct.unpack(">II", data[16:24])
        if data.startswith((b"GIF87a", b"GIF89a")):
            return struct.unpack("<HH", data[6:10])
        if data.startswith(b"BM"):
            return _bmp_size(data)
        if header := read_header(data):
            return header.width, header.height
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
    except struct.error:  # the header is truncated
        return None
    return None


def _tiff_problem(header: TiffHeader) -> str | None:
    """Why a TIFF file is not decoded: its header declares more than an image needs."""
    if not 1 <= header.channels <= 4:
        return f"has {header.channels} channels instead of 1 to 4"
    if header.tile[0] * header.tile[1] > MOST_PIXELS:
        return f"has tiles of {header.tile[0]} x {header.tile[1]} pixels"
    return None


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header_bytes,) = struct.unpack("<I", data[14:18])
    if header_bytes == 12:
        return struct.unpack("<HH", data[18:22])
    width, height = struct.unpack("<ii", data[18:26])
    return abs(width), abs(height)  # a negative height means top-down rows


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """See the WebP container specification (RFC 9649, sections 2.5 to 2.7)."""
    form = data[12:16]
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if form == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    return None


# Start-of-frame markers; the four left out between them start tables and extensions.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_SCAN = 0xDA


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in the frame header (ITU T.81, section B.2)."""
    for marker, place in _jpeg_segments(data):
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
    return None


def _jpeg_scans(data: bytes) -> int:
    """The number of scans up to the end of the first image in the file."""
    start = next((place for marker, place in _jpeg_segments(data) if marker == _SCAN), len(data))
    end = data.find(b"\xff\xd9", start)
    return data.count(bytes((0xFF, _SCAN)), start, end if end >= 0 else len(data))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The marker and offset of each segment, up to the first scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _BARE:
            place += 2
        else:
            yield marker, place
            if marker == _SCAN:
                return
            (length,) = struct.unpack(">H", data[place + 2 : place + 4])
            place += 2 + length
