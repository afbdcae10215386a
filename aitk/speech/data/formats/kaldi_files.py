"""Kaldi archives of matrices: ``.ark`` files and ``.scp`` lists that point into them.

Binary, text and compressed archives are supported. Files are not trusted: sizes are checked
against the available bytes and a limit before memory is allocated.

"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.names import find_file, shorten
from aitk.core.io.values import to_count

_BINARY = b"\0B"
_FLOATS: dict[bytes, np.dtype] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
LONGEST_KEY = 4096
#: The maximum matrix size: an hour of 80 features every 10 ms has 28.8 million values.
MAX_VALUES = 1 << 25
#: The maximum length of a matrix in a text archive, and the block size for reading it.
_MAX_TEXT_BYTES, _TEXT_PIECE = 1 << 28, 1 << 16


@dataclass(frozen=True, slots=True)
class MatrixPlace:
    """The position of a matrix: an archive and the byte offset of its value."""

    archive: Path
    offset: int

    def read(self) -> np.ndarray:
        """The matrix (rows, columns) or vector (n,), float32.

        Raises:
            DataError: the archive is missing or damaged, or the matrix has over ``MAX_VALUES``.
        """
        with _opened(self.archive) as file:
            file.seek(self.offset)
            return _read_value(file, self.archive.stat().st_size, self.archive)


def index_ark(path: Path | str) -> Iterator[tuple[str, MatrixPlace]]:
    """Yield each key of an archive with the place of its value, without loading matrices.

    Raises:
        DataError: it is not an archive, is damaged, or has other content.
    """
    path = Path(path)
    with _opened(path) as file:
        size = path.stat().st_size
        while key := _read_key(file, path):
            yield key, MatrixPlace(path, file.tell())
            _skip_value(file, size, path)


def place_of(entry: str, folder: Path, *, outside: bool) -> MatrixPlace:
    """The place given by an entry ``FILE:OFFSET`` of a ``.scp`` list in ``folder``.

    Args:
        outside: allow files outside the folder.

    Raises:
        DataError: it is a command or a range, has no offset, or its file is missing.
    """
    if entry.endswith(("|", "]")):
        raise DataError(f"{shorten(entry)} is not FILE:OFFSET (no commands or ranges)")
    name, _, digits = entry.rpartition(":")
    offset = to_count(digits)
    if not name or offset is None:
        raise DataError(f"{shorten(entry)} has no offset (FILE:OFFSET)")
    if outside and not (folder / name).is_file() and Path(name).is_file():
        return MatrixPlace(Path(name), offset)  # relative to Kaldi's scripts
    return MatrixPlace(find_file(name, folder, outside=outside, of="list"), offset)


def encode_matrix(matrix: np.ndarray) -> bytes:
    """A matrix (rows, columns) as bytes, for a row that stores features instead of audio."""
    sizes = b"".join(b"\x04" + struct.pack("<i", size) for size in matrix.shape)
    return _BINARY + b"FM " + sizes + np.ascontiguousarray(matrix, "<f4").tobytes()


def decode_matrix(stored: bytes) -> np.ndarray:
    """The matrix (rows, columns) float32 stored by ``encode_matrix``.

    Raises:
        DataError: the bytes are damaged.
    """
    return _read_value(io.BytesIO(stored), len(stored), Path("stored features"))


def matrix_columns(stored: bytes) -> int:
    """The number of columns of a stored matrix, from its header; 0 for audio."""
    if not stored.startswith(_BINARY + b"FM ") or len(stored) < 15:
        return 0
    return struct.unpack("<i", stored[11:15])[0]


def _opened(path: Path) -> BinaryIO:
    if not path.is_file():
        raise DataError("no such file", where=str(path))
    return path.open("rb")


def _read_key(file: BinaryIO, path: Path) -> str:
    """The next key, "" at the end of the file."""
    key = bytearray()
    while True:
        byte = file.read(1)
        if not byte:
            if key.strip():
                raise DataError("ends inside a key", where=str(path))
            return ""
        if byte == b" ":
            break
        if byte in b"\n\r\t" and not key:
            continue
        key += byte
        if len(key) > LONGEST_KEY:
            raise DataError("is not a Kaldi archive: a key has no end", where=str(path))
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise DataError("is not a Kaldi archive: a key is not text", where=str(path)) from error


def _read_value(file: BinaryIO, size: int, path: Path) -> np.ndarray:
    kind = _read_kind(file, path)
    if kind is None:
        return _parse_text(b"".join(_text_pieces(file, path)), path)
    if kind in _COMPRESSED:
        return _read_compressed(file, kind, size, path)
    dtype, shape = _read_shape(file, kind, path)
    raw = _exactly(file, _bounded(shape, path) * dtype.itemsize, size, path)
    return np.frombuffer(raw, dtype).reshape(shape).astype(np.float32)


def _skip_value(file: BinaryIO, size: int, path: Path) -> None:
    kind = _read_kind(file, path)
    if kind is None:
        for _ in _text_pieces(file, path):
            pass
        return
    if kind in _COMPRESSED:
        _, _, rows, columns = _read_compressed_header(file, size, path)
        count = rows * columns * _COMPRESSED[kind].itemsize + (8 * columns if kind == b"CM" else 0)
    else:
        dtype, shape = _read_shape(file, kind, path)
        count = _bounded(shape, path) * dtype.itemsize
    _require(file, count, size, path)
    file.seek(count, io.SEEK_CUR)


def _read_kind(file: BinaryIO, path: Path) -> bytes | None:
    """The kind of a binary value (``FM``, ``DV``, ``CM2``, ...); None for text."""
    start = file.tell()
    if file.read(2) != _BINARY:
        file.seek(start)
        return None
    kind = _token(file, path)
    if kind in _COMPRESSED or (kind[:1] in _FLOATS and kind[1:] in (b"M", b"V")):
        return kind
    raise DataError(f"holds {kind!r}, but only float matrices are supported", where=str(path))


def _read_shape(file: BinaryIO, kind: bytes, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    sizes = 2 if kind[1:] == b"M" else 1
    return _FLOATS[kind[:1]], tuple(_integer(file, path) for _ in range(sizes))


def _bounded(shape: tuple[int, ...], path: Path) -> int:
    """The number of values of a shape, checked against the limit."""
    count = 1
    for size in shape:
        count *= size
    if count > MAX_VALUES:
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"a matrix of {sizes} values is larger than the limit of {MAX_VALUES:,}",
            where=str(path),
        )
    return count


#: Kaldi's lossy formats: 8 bits with quartiles per column, 16 bits, or 8 bits.
_COMPRESSED: dict[bytes, np.dtype] = {
    b"CM": np.dtype("u1"),
    b"CM2": np.dtype("<u2"),
    b"CM3": np.dtype("u1"),
}


def _read_compressed_header(file: BinaryIO, size: int, path: Path) -> tuple[float, float, int, int]:
    """The minimum, the value range, the rows and the columns."""
    least, span, rows, columns = struct.unpack("<ffii", _exactly(file, 16, size, path))
    if rows < 0 or columns < 0:
        raise DataError("a matrix has a negative size", where=str(path))
    _bounded((rows, columns), path)
    return least, span, rows, columns


def _read_compressed(file: BinaryIO, kind: bytes, size: int, path: Path) -> np.ndarray:
    least, span, rows, columns = _read_compressed_header(file, size, path)
    dtype = _COMPRESSED[kind]
    if kind != b"CM":
        raw = _exactly(file, rows * columns * dtype.itemsize, size, path)
        steps = np.frombuffer(raw, dtype).reshape(rows, columns)
        return (least + steps * np.float32(span / np.iinfo(dtype).max)).astype(np.float32)
    raw = _exactly(file, 8 * columns, size, path)
    quartiles = np.frombuffer(raw, "<u2").reshape(columns, 4) * np.float32(span / 65535) + least
    q0, q25, q75, q100 = quartiles.astype(np.float32).T[:, :, None]  # (columns, 1) each
    steps = np.frombuffer(_exactly(file, rows * columns, size, path), "u1")
    steps = steps.reshape(columns, rows).astype(np.float32)
    low = q0 + (q25 - q0) * steps / 64
    middle = q25 + (q75 - q25) * (steps - 64) / 128
    high = q75 + (q100 - q75) * (steps - 192) / 63
    return np.where(steps <= 64, low, np.where(steps <= 192, middle, high)).T.astype(np.float32)


def _text_pieces(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The pieces of a text value, up to the line with ``]``."""
    length = 0
    while True:
        piece = file.readline(_TEXT_PIECE)
        if not piece:
            raise DataError("ends inside a matrix", where=str(path))
        if not length and not piece.lstrip().startswith(b"["):
            raise DataError("is not a Kaldi archive", where=str(path))
        length += len(piece)
        if length > _MAX_TEXT_BYTES:
            raise DataError(
                f"a matrix is longer than {_MAX_TEXT_BYTES >> 20} MB of text", where=str(path)
            )
        yield piece
        if b"]" in piece:
            return


def _parse_text(text: bytes, path: Path) -> np.ndarray:
    """Parse `` [ 1 2`` and further lines up to ``]``; a vector is on one line."""
    body = text.decode("utf-8", errors="replace").strip()
    lines = body[1:].replace("]", "").split("\n")
    try:
        rows = [np.array(line.split(), np.float32) for line in lines if line.strip()]
        values = np.stack(rows) if rows else np.zeros((0, 0), np.float32)
    except ValueError as error:
        raise DataError(f"a matrix has a non-number ({error})", where=str(path)) from error
    return values[0] if len(lines) == 1 and rows else values


def _token(file: BinaryIO, path: Path) -> bytes:
    token = bytearray()
    while (byte := file.read(1)) not in (b" ", b""):
        token += byte
        if len(token) > 8:
            raise DataError("is not a Kaldi archive of matrices", where=str(path))
    return bytes(token)


def _integer(file: BinaryIO, path: Path) -> int:
    raw = file.read(5)
    if len(raw) < 5 or raw[0] != 4:
        raise DataError("a matrix has no size", where=str(path))
    value = struct.unpack("<i", raw[1:])[0]
    if value < 0:
        raise DataError("a matrix has a negative size", where=str(path))
    return value


def _exactly(file: BinaryIO, count: int, size: int, path: Path) -> bytes:
    """Read exactly ``count`` bytes, after checking that the file has them."""
    _require(file, count, size, path)
    return file.read(count)


def _require(file: BinaryIO, count: int, size: int, path: Path) -> None:
    if count > size - file.tell():
        raise DataError("is truncated inside a matrix", where=str(path))
