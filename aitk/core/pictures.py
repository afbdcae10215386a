"""Reading a picture file that may be damaged, hostile, or lie on its side."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from aitk.core.errors import DataError
from aitk.core.silence import hushed

#: A file of a few kilobytes can say that it holds gigabytes of pixels: its header is asked first.
MOST_PIXELS = 50_000_000
MOST_BYTES = 100_000_000


def read_picture(path: Path | str) -> np.ndarray:
    """Decode a JPEG, PNG, WebP, GIF (its first picture) or BMP file, upright.

    Returns:
        (height, width, 3) uint8 RGB, turned as its EXIF orientation says.

    Raises:
        DataError: there is no such file, it is too large, damaged, or no such picture.
    """
    import cv2

    path = Path(path)
    where = str(path)
    data = _read(path, where)
    size = _size(data)
    if size is None:
        raise DataError("is no JPEG, PNG, WebP, GIF or BMP picture", where=where)
    width, height = size
    if width * height > MOST_PIXELS:
        raise DataError(f"has {width} x {height} pixels, more than {MOST_PIXELS:,}", where=where)
    picture = None
    with hushed():
        try:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        except cv2.error:
            picture = None
    if picture is None:
        raise DataError("is damaged", where=where)
    return picture


def _read(path: Path, where: str) -> bytes:
    try:
        # A pipe or device of this name could give bytes for ever.
        if not path.is_file():
            raise DataError("no such file", where=where)
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"is larger than {MOST_BYTES:,} bytes", where=where)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=where) from error


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the file's header; None where it is of no known format."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return struct.unpack(">II", data[16:24])
        if data.startswith((b"GIF87a", b"GIF89a")):
            return struct.unpack("<HH", data[6:10])
        if data.startswith(b"BM"):
            return _bmp_size(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
    except struct.error:  # the header is cut off
        return None
    return None


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header_bytes,) = struct.unpack("<I", data[14:18])
    if header_bytes == 12:
        return struct.unpack("<HH", data[18:22])
    width, height = struct.unpack("<ii", data[18:26])
    return abs(width), abs(height)  # a negative height: its rows go down


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


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Go from segment to segment up to the frame's header (ITU T.81, section B.2)."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _BARE:
            place += 2
        elif marker in _FRAMES:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        else:
            (length,) = struct.unpack(">H", data[place + 2 : place + 4])
            place += 2 + length
    return None
