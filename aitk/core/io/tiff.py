"""Parsing of TIFF headers (TIFF 6.0, sections 2 and 8; BigTIFF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 322, 323
_TAGS = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT)
_MOST_ENTRIES = 10_000
#: Type of a value -> its struct format; other types are not needed here.
_PACKED = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True)
class TiffHeader:
    """The first image of a file.

    Attributes:
        bits: bits per value.
        channels: values per pixel.
        tile: (width, height) of its tiles, or (0, 0).
        has_more: whether the file has further images.
    """

    width: int
    height: int
    bits: int
    channels: int
    tile: tuple[int, int]
    has_more: bool


def read_header(data: bytes) -> TiffHeader | None:
    """The header of a file; None if it is damaged or not TIFF."""
    if not data.startswith(STARTS):
        return None
    order = "<" if data.startswith(b"II") else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    try:
        place = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)[0]
        values, following = _read_entries(data, place, order, is_big)
    except (struct.error, OverflowError):
        return None
    return TiffHeader(
        width=values.get(_WIDTH, 0),
        height=values.get(_HEIGHT, 0),
        bits=values.get(_BITS, 1),
        channels=values.get(_SAMPLES, 1),
        tile=(values.get(_TILE_WIDTH, 0), values.get(_TILE_HEIGHT, 0)),
        has_more=following != 0,
    )


def _read_entries(data: bytes, place: int, order: str, is_big: bool) -> tuple[dict[int, int], int]:
    """The first value of each needed tag, and the offset of the next image's tags."""
    count_format, entry_bytes, value_at = ("Q", 20, 12) if is_big else ("H", 12, 8)
    offset_format = "Q" if is_big else "I"
    (count,) = struct.unpack_from(order + count_format, data, place)
    if count > _MOST_ENTRIES:
        raise struct.error("too many entries")
    place += struct.calcsize(count_format)
    values: dict[int, int] = {}
    for entry in range(place, place + count * entry_bytes, entry_bytes):
        tag, kind, length = struct.unpack_from(f"{order}HH{offset_format}", data, entry)
        packed = _PACKED.get(kind)
        if tag not in _TAGS or packed is None:
            continue
        at = entry + value_at
        if length * struct.calcsize(packed) > struct.calcsize(offset_format):
            (at,) = struct.unpack_from(order + offset_format, data, at)
        (values[tag],) = struct.unpack_from(order + packed, data, at)
    (following,) = struct.unpack_from(order + offset_format, data, place + count * entry_bytes)
    return values, following
