"""Files of vectors: word2vec text and binary, GloVe text, and NumPy's ``.npy``.

Files of vectors are untrusted: the header is bounded, every line is checked, and only the
requested words are stored.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np

from aitk.core.contract.errors import ArtifactError

MAX_VECTORS, MAX_DIMENSION, MAX_WORD_BYTES = 20_000_000, 10_000, 1000
#: Length of a number as text, with the space before it.
MAX_NUMBER_BYTES = 40
_HEADER = re.compile(rb"\s*(\d{1,10})\s+(\d{1,6})\s*\n")
_GZIP = b"\x1f\x8b"


def read_vectors(
    path: Path, *, keep: Callable[[str, int], bool] = lambda word, row: True
) -> tuple[list[str], np.ndarray]:
    """Read the vectors of words from a word2vec file, text or binary, or a GloVe file.

    Args:
        path: may be compressed by gzip.
        keep: predicate on each word and its row, from 0.

    Returns:
        The selected words, each once, and their vectors (words, dimension) float32.

    Raises:
        ArtifactError: there is no such file, or it is damaged; the message names the line or word.
    """
    words: dict[str, np.ndarray] = {}
    dimension = 0
    try:
        with _open(path) as file:
            for row, (word, vector) in enumerate(_vectors(file, path)):
                dimension = len(vector)
                if word not in words and keep(word, row):
                    words[word] = vector
    except (OSError, EOFError) as error:
        raise ArtifactError(f"cannot be read ({error})", where=str(path)) from error
    if not dimension:
        raise ArtifactError("contains no vectors", where=str(path))
    matrix = np.array(list(words.values()), np.float32).reshape(-1, dimension)
    return list(words), matrix


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as raw:
        is_compressed = raw.read(2) == _GZIP
        raw.seek(0)
        if is_compressed:
            with gzip.open(raw) as file:
                yield cast(BinaryIO, file)
        else:
            yield raw


def _vectors(file: BinaryIO, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    longest = MAX_WORD_BYTES + MAX_DIMENSION * MAX_NUMBER_BYTES
    first = file.readline(longest)
    header = _HEADER.fullmatch(first)
    if header is None:
        yield from _text(file, path, first, count=None, dimension=None, longest=longest)
        return
    count, dimension = int(header[1]), int(header[2])
    if not (0 < count <= MAX_VECTORS and 0 < dimension <= MAX_DIMENSION):
        raise ArtifactError(
            f"its header names {count:,} vectors of {dimension:,} numbers",
            where=f"{path}:1",
            hint=f"At most {MAX_VECTORS:,} of {MAX_DIMENSION:,} are supported",
        )
    start = file.tell()
    line = file.readline(longest)
    is_text = _parsed(line, dimension) is not None
    file.seek(start)
    if is_text:
        yield from _text(file, path, None, count=count, dimension=dimension, longest=longest)
    else:
        yield from _binary(file, path, count=count, dimension=dimension)


def _text(
    file: BinaryIO,
    path: Path,
    first: bytes | None,
    *,
    count: int | None,
    dimension: int | None,
    longest: int,
) -> Iterator[tuple[str, np.ndarray]]:
    """Lines of a word and its numbers. Without a header the first line defines their count."""
    number, read = (1, 0) if first is not None else (2, 0)
    line = first if first is not None else file.readline(longest)
    while line:
        where = f"{path}:{number}"
        if dimension is None:
            dimension = len(line.split(b" ")) - 1
            if not 1 < dimension <= MAX_DIMENSION or _parsed(line, dimension) is None:
                raise ArtifactError(
                    "is not a file of vectors", where=where,
                    hint="word2vec text or binary and GloVe text are supported",
                )  # fmt: skip
        found = _parsed(line, dimension)
        if found is None:
            raise ArtifactError(f"does not have a word and {dimension} numbers", where=where)
        if read == (MAX_VECTORS if count is None else count):
            raise ArtifactError(f"has more than {read:,} vectors", where=where)
        yield found
        read += 1
        number += 1
        line = file.readline(longest)
    if count is not None and read < count:
        raise ArtifactError(
            f"ends after {read:,} of {count:,} vectors", where=str(path), hint="Download it again"
        )


def _parsed(line: bytes, dimension: int) -> tuple[str, np.ndarray] | None:
    """A word, which may hold spaces, and its finite numbers; None for any other line."""
    parts = line.rstrip(b" \r\n").rsplit(b" ", dimension)
    if len(parts) != dimension + 1 or not parts[0] or len(parts[0]) > MAX_WORD_BYTES:
        return None
    try:
        vector = np.array(parts[1:], dtype="S40").astype(np.float32)
    except ValueError:
        return None
    if not np.isfinite(vector).all():
        return None
    return parts[0].decode("utf-8", errors="replace"), vector


def _binary(
    file: BinaryIO, path: Path, *, count: int, dimension: int
) -> Iterator[tuple[str, np.ndarray]]:
    """A word, a space and little-endian float32 numbers, ``count`` times."""
    size = 4 * dimension
    buffer = b""

    def more() -> bytes:
        return buffer + file.read(1 << 20)

    for row in range(count):
        while (space := buffer.find(b" ", 0, MAX_WORD_BYTES + 2)) < 0 and len(buffer) <= (
            MAX_WORD_BYTES + 2
        ):
            longer = more()
            if len(longer) == len(buffer):
                break
            buffer = longer
        if space < 0:
            raise ArtifactError(
                f"is damaged at vector {row + 1:,} of {count:,}", where=str(path),
                hint="Download it again",
            )  # fmt: skip
        while len(buffer) < space + 1 + size:
            longer = more()
            if len(longer) == len(buffer):
                raise ArtifactError(
                    f"ends after {row:,} of {count:,} vectors", where=str(path),
                    hint="Download it again",
                )  # fmt: skip
            buffer = longer
        word = buffer[:space].lstrip(b"\n").decode("utf-8", errors="replace")
        vector = np.frombuffer(buffer, "<f4", dimension, space + 1).astype(np.float32)
        if not word or not np.isfinite(vector).all():
            raise ArtifactError(f"is damaged at vector {row + 1:,} of {count:,}", where=str(path))
        yield word, vector
        buffer = buffer[space + 1 + size :]


class VectorLines:
    """word2vec's text format: a header, then a word or text, its spaces as ``_``, and its numbers.

    A row without a vector is omitted.
    """

    needs_columns: ClassVar[bool] = True
    _HEAD_BYTES = 24

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """One line per vector, after the header."""
        lines = []
        count, size = map(int, self.columns) if self.columns else (0, 0)
        begun = bool(self.columns)
        for row in rows:
            vector = vector_of(row)
            if vector is None:
                continue
            size = size or len(vector)
            count += 1
            text = next((value for value in row.values() if isinstance(value, str)), str(count))
            lines.append(" ".join(["_".join(text.split()) or "_", *map(repr, vector)]) + "\n")
        self.columns = [str(count), str(size)]
        return ("" if begun else self._header()) + "".join(lines)

    def head(self) -> bytes:
        """The first bytes of a complete file (see ``RewritesHead``)."""
        return self._header().encode()

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether the first line is a header of this width."""
        line = head.partition("\n")[0]
        return len(line) == self._HEAD_BYTES - 1 and len(line.split()) == 2

    def _header(self) -> str:
        count, size = self.columns
        return f"{count} {size}".ljust(self._HEAD_BYTES - 1) + "\n"


class NpyLines:
    """NumPy's ``.npy``: (rows, dimension) float32, NaN where a row has no vector."""

    needs_columns: ClassVar[bool] = True
    _HEAD_BYTES = 128

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> bytes:
        """The numbers of each row; the header before the first."""
        vectors = [vector_of(row) for row in rows]
        count, size = map(int, self.columns) if self.columns else (0, 0)
        begun = bool(self.columns)
        size = size or next((len(vector) for vector in vectors if vector is not None), 0)
        self.columns = [str(count + len(vectors)), str(size)]
        missing = [math.nan] * size
        content = np.array([vector or missing for vector in vectors], "<f4").tobytes()
        return content if begun else self.head() + content

    def head(self) -> bytes:
        """The first bytes of a complete file (see ``RewritesHead``)."""
        count, size = self.columns
        described = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {size}), }}"
        rest = self._HEAD_BYTES - 10
        return (
            b"\x93NUMPY\x01\x00"
            + rest.to_bytes(2, "little")
            + (described.ljust(rest - 1) + "\n").encode("ascii")
        )

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Never: a binary file is not recognised from text."""
        return False


def vector_of(row: Mapping[str, Any]) -> list[float] | None:
    """The vector in a row that ``predict`` writes; None if it has none."""
    found = [value for name, value in row.items() if name.startswith(("prediction", "predicted_"))]
    vector = found[-1] if found else None
    is_vector = isinstance(vector, list) and vector and isinstance(vector[0], float)
    return vector if is_vector else None
