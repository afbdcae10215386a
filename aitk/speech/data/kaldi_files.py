"""Kaldi archives of matrices: ``.ark`` files, and the ``.scp`` lists that point into them.

Binary and text archives are read, compressed ones too; binary float archives are written.
Nothing in a file is trusted: sizes are checked against the bytes that are there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.files import draft_file
from aitk.core.io.values import to_count

_BINARY = b"\0B"
_FLOATS: dict[bytes, np.dtype] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
LONGEST_KEY = 4096


def read_ark(path: Path | str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each key of an archive with its matrix (rows, columns) or vector (n,), in order.

    Raises:
        DataError: it is no archive, is damaged, or holds something else.
    """
    path = Path(path)
    with _opened(path) as file:
        size = path.stat().st_size
        while key := _read_key(file, path):
            yield key, _read_value(file, size, path)


class Script(Mapping[str, np.ndarray]):
    """The matrices that a ``.scp`` list names, read from their archives when asked for.

    Paths in it are taken from its own folder; those that lead out of it are refused unless
    ``outside`` is set.
    """

    def __init__(self, path: Path | str, *, outside: bool = False):
        self._path = Path(path)
        self._entries: dict[str, str] = {}
        text = self._path.read_text(encoding="utf-8") if self._path.is_file() else None
        if text is None:
            raise DataError("no such file", where=str(path))
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split(maxsplit=1)
            if len(words) != 2 or words[1].endswith(("|", "]")):
                reason = "is not KEY FILE:OFFSET (commands and ranges are not read)"
                raise DataError(reason, where=f"{path}:{number}")
            place = words[1].strip()
            target = (self._path.parent / place.rpartition(":")[0]).resolve()
            if not outside and not target.is_relative_to(self._path.parent.resolve()):
                raise DataError(f"{place} lies outside of its folder", where=f"{path}:{number}")
            self._entries[words[0]] = place

    def __getitem__(self, key: str) -> np.ndarray:
        name, _, digits = self._entries[key].rpartition(":")
        offset = to_count(digits)
        if not name or offset is None:
            raise DataError(f"{self._entries[key]} has no offset", where=str(self._path))
        archive = self._path.parent / name
        with _opened(archive) as file:
            file.seek(offset)
            return _read_value(file, archive.stat().st_size, archive)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def write_ark(
    path: Path | str, matrices: Iterable[tuple[str, np.ndarray]], *, script: bool = True
) -> int:
    """Write a binary archive of float32 matrices (rows, columns) or vectors (n,).

    Args:
        script: also write the list beside it, ``NAME.scp``, with paths relative to it.

    Returns:
        How many were written. The files are whole or absent.

    Raises:
        DataError: a key is empty or holds white space, or a value has another shape.
    """
    path = Path(path)
    places = []
    with draft_file(path) as file:
        for key, value in matrices:
            if not key or key.split() != [key]:
                raise DataError(f"{key!r} cannot be a key: it holds white space", where=str(path))
            file.write(key.encode() + b" ")
            places.append(f"{key} {path.name}:{file.tell()}\n")
            file.write(_packed(np.asarray(value), path))
        if script:
            with draft_file(path.with_suffix(".scp")) as listed:
                listed.write("".join(places).encode())
    return len(places)


def _packed(value: np.ndarray, path: Path) -> bytes:
    if value.ndim not in (1, 2):
        raise DataError(
            f"an archive holds vectors and matrices, not {value.shape}", where=str(path)
        )
    kind = b"FM " if value.ndim == 2 else b"FV "
    sizes = b"".join(b"\x04" + struct.pack("<i", size) for size in value.shape)
    return _BINARY + kind + sizes + np.ascontiguousarray(value, "<f4").tobytes()


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
                raise DataError("ends inside of a key", where=str(path))
            return ""
        if byte == b" ":
            break
        if byte in b"\n\r\t" and not key:
            continue
        key += byte
        if len(key) > LONGEST_KEY:
            raise DataError("is no Kaldi archive: a key never ends", where=str(path))
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise DataError("is no Kaldi archive: a key is no text", where=str(path)) from error


def _read_value(file: BinaryIO, size: int, path: Path) -> np.ndarray:
    start = file.tell()
    if file.read(2) != _BINARY:
        file.seek(start)
        return _read_text(file, path)
    token = _token(file, path)
    if token[:1] in _FLOATS and token[1:] in (b"M", b"V"):
        dtype = _FLOATS[token[:1]]
        shape = tuple(_integer(file, path) for _ in range(2 if token[1:] == b"M" else 1))
        count = int(np.prod(shape, dtype=np.int64))
        raw = _exactly(file, count * dtype.itemsize, size, path)
        return np.frombuffer(raw, dtype).reshape(shape).astype(np.float32)
    if token in (b"CM", b"CM2", b"CM3"):
        return _read_compressed(file, token, size, path)
    raise DataError(f"holds {token!r}, and float matrices are read", where=str(path))


def _read_compressed(file: BinaryIO, token: bytes, size: int, path: Path) -> np.ndarray:
    """Kaldi's lossy formats: 8 bits by quartiles of each column, 16 bits, or 8 bits."""
    least, span, rows, columns = struct.unpack("<ffii", _exactly(file, 16, size, path))
    if rows < 0 or columns < 0:
        raise DataError("a matrix has a negative size", where=str(path))
    if token != b"CM":
        dtype: np.dtype = np.dtype("<u2" if token == b"CM2" else "u1")
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


def _read_text(file: BinaryIO, path: Path) -> np.ndarray:
    """`` [ 1 2`` and further lines up to ``]``; a vector stands on one line."""
    text = bytearray()
    while b"]" not in text:
        line = file.readline()
        if not line:
            raise DataError("ends inside of a matrix", where=str(path))
        text += line
    body = text.decode("utf-8", errors="replace").strip()
    if not body.startswith("["):
        raise DataError("is no Kaldi archive", where=str(path))
    lines = body[1:].replace("]", "").split("\n")
    try:
        rows = [[float(word) for word in line.split()] for line in lines if line.strip()]
        values = np.array(rows, np.float32)
    except ValueError as error:
        raise DataError(f"a matrix is not numbers ({error})", where=str(path)) from error
    return values[0] if len(lines) == 1 and rows else values


def _token(file: BinaryIO, path: Path) -> bytes:
    token = bytearray()
    while (byte := file.read(1)) not in (b" ", b""):
        token += byte
        if len(token) > 8:
            raise DataError("is no Kaldi archive of matrices", where=str(path))
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
    """So many bytes, asked for only if the file can have them."""
    if count > size - file.tell():
        raise DataError("is cut short inside of a matrix", where=str(path))
    return file.read(count)
