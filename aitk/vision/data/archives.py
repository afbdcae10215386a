"""Archives as trees of files: ZIP and TAR, read member by member."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from aitk.core.contract.errors import DataError
from aitk.vision.data.trees import Members, is_hidden, leads_out

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
#: Image data never compresses this well; archives below this size are harmless.
MAX_RATIO, HARMLESS_BYTES = 200, 10_000_000
#: A compressed TAR can only be read from its beginning, so that it is decompressed once, into a
#: temporary file of this size at most.
MAX_UNPACKED_BYTES = 50_000_000_000
_CHUNK = 1 << 20
_MAX_HEADER_BYTES = 1 << 20
#: Errors that Python's readers raise for damaged or malicious files.
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError,
    struct.error, ValueError, OverflowError, RecursionError, NotImplementedError, RuntimeError,
)  # fmt: skip


def is_archive(name: str) -> bool:
    """Whether a file's suffix is that of an archive."""
    return name.lower().endswith(SUFFIXES)


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Members]:
    """Open an archive for reading.

    Raises:
        DataError: the archive is damaged, or its format is not supported.
    """
    opened = _open_zip if path.suffix.lower() == ".zip" else _open_tar
    with contextlib.ExitStack() as stack:
        try:
            members = stack.enter_context(opened(path))
        except _DAMAGED as error:
            raise DataError(f"cannot be read ({error})", where=str(path)) from error
        yield members


@contextlib.contextmanager
def _open_zip(path: Path) -> Iterator[Members]:
    with zipfile.ZipFile(path) as archive:
        bytes_of: dict[str, int] = {}
        refused: dict[str, str] = {}
        for info in archive.infolist():
            name = info.filename
            if info.is_dir() or (any(map(is_hidden, name.split("/"))) and not leads_out(name)):
                continue
            if reason := _problem_of_name(name, bytes_of):
                refused[name] = reason
            elif info.flag_bits & 1:
                refused[name] = "is encrypted"
            elif _is_bomb(info.file_size, info.compress_size):
                refused[name] = "is a decompression bomb"
            else:
                bytes_of[name] = info.file_size

        def open_bytes(name: str, max_bytes: int) -> bytes:
            try:
                with archive.open(name) as file:
                    return file.read(max_bytes)
            except _DAMAGED as error:
                raise DataError(f"cannot be read ({error})") from error

        yield Members(str(path), bytes_of, open_bytes, refused)


@contextlib.contextmanager
def _open_tar(path: Path) -> Iterator[Members]:
    with (
        _plain_tar(path) as file,
        tarfile.open(fileobj=_Headers(file), mode="r:") as archive,  # type: ignore[call-overload]
    ):
        members: dict[str, tarfile.TarInfo] = {}
        refused: dict[str, str] = {}
        for info in archive:
            name = info.name.removeprefix("./")
            if info.isdir() or (any(map(is_hidden, name.split("/"))) and not leads_out(name)):
                continue
            if reason := _problem_of_name(name, members):
                refused[name] = reason
            elif not info.isfile() or info.issparse():
                refused[name] = "is a link or a device, not a regular file"
            else:
                members[name] = info

        archive.fileobj = file

        def open_bytes(name: str, max_bytes: int) -> bytes:
            try:
                content = archive.extractfile(members[name])
                return content.read(min(max_bytes, members[name].size)) if content else b""
            except _DAMAGED as error:
                raise DataError(f"cannot be read ({error})") from error

        bytes_of = {name: info.size for name, info in members.items()}
        yield Members(str(path), bytes_of, open_bytes, refused)


@contextlib.contextmanager
def _plain_tar(path: Path) -> Iterator[IO[bytes]]:
    """A TAR file without compression, which supports seeking to any member."""
    with path.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        unpackers: dict[bytes, Callable[..., Any]] = {
            b"\x1f\x8b": gzip.open,
            b"BZ": bz2.open,
            b"\xfd7": lzma.open,
        }
        unpack = unpackers.get(start[:2])
        if unpack is None:
            yield file
            return
        max_bytes = min(MAX_UNPACKED_BYTES, max(HARMLESS_BYTES, MAX_RATIO * path.stat().st_size))
        with tempfile.TemporaryFile() as plain, unpack(file) as stream:
            while chunk := stream.read(_CHUNK):
                plain.write(chunk)
                if plain.tell() > max_bytes:
                    raise DataError("is a decompression bomb", where=str(path))
            plain.seek(0)
            yield plain


class _Headers:
    """A file limited to header-sized reads: ``tarfile`` trusts the sizes that headers declare."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _problem_of_name(name: str, known: object) -> str | None:
    if leads_out(name):
        return "its name points outside the archive"
    if name in known:  # type: ignore[operator]
        return "occurs twice"
    return None


def _is_bomb(plain: int, packed: int) -> bool:
    return plain > HARMLESS_BYTES and plain > MAX_RATIO * max(packed, 1)
