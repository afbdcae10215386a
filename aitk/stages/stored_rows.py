"""Rows on their way into prepared data: refusals are written down, the others kept and stored."""

from __future__ import annotations

import hashlib
import marshal
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii as _quoted
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aitk.core.artifacts.data import DataWriter
from aitk.core.contract.errors import DataError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import SPLITS, Refusal, Row
from aitk.core.contract.task import Inspector
from aitk.core.io.spool import dump_line, load_line
from aitk.core.io.values import dump_json
from aitk.core.runtime import interrupts

ROWS_AT_ONCE = 1000
#: A block of waiting rows ends at one of these. A row may be an image.
_BLOCK_ROWS, _BLOCK_BYTES = 512, 1 << 20
_LINES_AT_ONCE = 64  # of any length
_SIZE = struct.Struct("<Q")
_TEXT = {str}
_PLAIN = {str, int, float, bool, bytes, type(None)}
_STORED = {*_PLAIN, np.ndarray}


class Accepted:
    """The rows of a stream, to be iterated once; its refusals go to ``rejects.jsonl``.

    Attributes:
        named: how many rows the files put into each split, None being none.
        refused: how many records were refused.
        redacted: how much personal data of each kind was replaced, and in how many ``rows``.
    """

    def __init__(
        self, items: Iterable[Row | Refusal], sources: Sequence[str], folder: Path, *, most: int
    ):
        self._items, self._sources, self._folder, self._most = items, sources, folder, most
        self.named: Counter[str | None] = Counter()
        self.refused = 0
        self.redacted: Counter[str] = Counter()
        self._first_reason = ""

    def __iter__(self) -> Iterator[Row]:
        """Raises:
        DataError: more records are refused than allowed, or there is no row.
        """
        with (self._folder / "rejects.jsonl").open("w", encoding="utf-8") as rejects:
            for item in self._items:
                if isinstance(item, Refusal):
                    line = {"file": item.file, "line": item.line, "reason": item.reason}
                    rejects.write(dump_json(line) + "\n")
                    self._refuse(item)
                    continue
                self.named[item.split] += 1
                if item.redacted:
                    self.redacted.update(item.redacted)
                    self.redacted["rows"] += 1
                yield item
        if not self.named:
            reason = f"all {self.refused} rows were refused; the first one: "
            if self.refused < 2:
                reason = "its only row was refused: " if self.refused else "no rows were found"
            raise DataError(reason + self._first_reason, where=", ".join(self._sources))

    def note(self) -> str | None:
        """How many records were refused, in words; None if none was."""
        if not self.refused:
            return None
        return f"{self.refused:,} rows refused (see rejects.jsonl), first: {self._first_reason}"

    def _refuse(self, item: Refusal) -> None:
        self.refused += 1
        self._first_reason = self._first_reason or item.reason
        if self.refused > self._most:
            raise DataError(
                f"{self.refused} rows refused; the last one: {item.reason}",
                where=item.where,
                hint=f"Fix the file or raise --max-errors (now {self._most})",
            )


class Block:
    """Rows that are marshalled together, in a quarter of the time that JSON takes."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._size = 0

    def add(self, row: Row) -> bool:
        """Append a row; whether the block is full."""
        fields = row.fields
        content: Any = fields
        if _PLAIN.issuperset(map(type, fields.values())):
            if type(fields) is not dict:
                content = dict(fields)
        elif _STORED.issuperset(map(type, fields.values())) and not _has_objects(fields):
            content = ({name: _packed(value) for name, value in fields.items()},)
            self._size += sum(
                value.nbytes for value in fields.values() if type(value) is np.ndarray
            )
        else:  # marshal would write scalars of NumPy as bytes
            content = dump_line(fields)
            self._size += len(content)
        self.rows.append((content, row.split, row.line, row.file))
        for value in fields.values():
            if type(value) is str or type(value) is bytes:
                self._size += len(value)
        return len(self.rows) == _BLOCK_ROWS or self._size > _BLOCK_BYTES

    def dump(self) -> bytes:
        """The rows in bytes, of which none are left here."""
        content = marshal.dumps(self.rows)
        self.rows, self._size = [], 0
        return content


#: What is kept of a row: its fields, split, line and file.
Kept = tuple[dict[str, Any], str | None, int, str]


def load_block(content: bytes, *, where: str) -> Iterator[Kept]:
    """The rows of a ``Block``."""
    for record in marshal.loads(content):
        fields = record[0]
        if type(fields) is dict:
            yield record
        elif type(fields) is str:
            yield load_line(fields, where=where), *record[1:]
        else:
            yield {name: _unpacked(value) for name, value in fields[0].items()}, *record[1:]


#: The split that the files name, the key of the row and the seed -> the split of the row.
SplitRule = Callable[[str | None, str, int], Any]


class SpooledRows:
    """Rows kept in a file of this process, for a second and a third look at them.

    Args:
        key: of the fields of a row; see ``Task.key``.
    """

    def __init__(
        self,
        path: Path,
        rows: Iterable[Row],
        *,
        key: Callable[[Mapping[str, Any]], str],
        seed: int,
        reporter: Reporter,
    ):
        self._path, self._key, self._seed, self._reporter = path, key, seed, reporter
        self._assigned = bytearray()  # the number of each row's split
        with path.open("wb") as file:
            block = Block()
            for row in rows:
                if block.add(row):
                    write_chunk(file, block.dump())
            if block.rows:
                write_chunk(file, block.dump())

    def inspect(self, inspector: Inspector, rule: SplitRule, digest: Fingerprint) -> Counter[str]:
        """See ``stages.prepare.RowSteps``."""
        counts: Counter[str] = Counter()
        for fields, given, line, name in self._records():
            interrupts.check()
            split = rule(given, self._key(fields), self._seed)
            inspector.add(Row(fields, name, line, split=given), split)
            counts[split] += 1
            self._assigned.append(SPLITS.index(split))
            digest.add(split, fields)
        return counts

    def write(self, open_writer: Callable[[], DataWriter], summary: Mapping[str, Any]) -> None:
        """See ``stages.prepare.RowSteps``."""
        del summary
        splits = (SPLITS[number] for number in self._assigned)
        rows = ((split, kept[0]) for split, kept in zip(splits, self._records(), strict=True))
        write_rows(open_writer, rows, self._reporter, total=len(self._assigned))
        self._path.unlink()

    def _records(self) -> Iterator[Kept]:
        with self._path.open("rb") as file:
            for content in read_chunks(file):
                yield from load_block(content, where=str(self._path))


def write_chunk(file: BinaryIO, content: bytes) -> None:
    """Append bytes, which ``read_chunks`` gives back as they were."""
    file.write(_SIZE.pack(len(content)) + content)


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """What each ``write_chunk`` wrote."""
    while size := file.read(_SIZE.size):
        yield file.read(_SIZE.unpack(size)[0])


def _has_objects(fields: Mapping[str, Any]) -> bool:
    return any(type(value) is np.ndarray and value.dtype.hasobject for value in fields.values())


def _packed(value: Any) -> Any:
    """An array as a tuple, which no field is by itself."""
    if type(value) is not np.ndarray:
        return value
    return value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes()


def _unpacked(value: Any) -> Any:
    if type(value) is not tuple:
        return value
    dtype, shape, content = value
    return np.frombuffer(content, np.dtype(dtype)).reshape(shape).copy()


class Fingerprint:
    """Names rows and their splits: equal ones have equal names.

    Args:
        lines: receives what the name is made of, for another process to ``add_lines`` of.
    """

    def __init__(self, lines: BinaryIO | None = None) -> None:
        self._digest = hashlib.sha256()
        self._update = lines.write if lines is not None else self._digest.update
        self._waiting: list[str] = []  # lines, not yet in the digest
        self._quoted: dict[tuple[str, ...], list[tuple[str, str]]] = {}

    def add(self, split: str, fields: Mapping[str, Any]) -> None:
        """Count in a row; its fields may be arrays as well as JSON values."""
        if _TEXT.issuperset(map(type, fields.values())):  # most rows of text
            names = tuple(fields)
            if (starts := self._quoted.get(names)) is None:
                starts = [(f"{_quoted(name)}: ", name) for name in sorted(names)]
                self._quoted[names] = starts
            members = ", ".join([start + _quoted(fields[name]) for start, name in starts])
            self._waiting.append(f"{split}\0{{{members}}}\n")
            if len(self._waiting) == _LINES_AT_ONCE:
                self.flush()
            return
        self.flush()
        if not any(isinstance(value, np.ndarray) for value in fields.values()):
            self._update(f"{split}\0{dump_line(fields, sort_keys=True)}\n".encode())
            return
        parts = [split.encode()]
        for name, value in sorted(fields.items()):
            if isinstance(value, np.ndarray):
                parts += [f"{name} {value.dtype.str} {value.shape}".encode(), value.tobytes()]
            else:
                parts.append(f"{name} {dump_line(value)}".encode())
        self._update(b"\0".join(parts))

    def added(
        self, rows: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The same rows, each counted in as it passes."""
        for split, fields in rows:
            self.add(split, fields)
            yield split, fields

    def add_lines(self, content: bytes) -> None:
        """Count in the next rows, from what another process wrote of them."""
        self._update(content)

    def flush(self) -> None:
        """Count in the rows that wait."""
        self._update("".join(self._waiting).encode())
        self._waiting.clear()

    def __str__(self) -> str:
        self.flush()
        return self._digest.hexdigest()[:16]


def write_rows(
    open_writer: Callable[[], DataWriter],
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    reporter: Reporter,
    *,
    total: int | None = None,
) -> Counter[str]:
    """Store the fields of rows, each in its split; how many each split has.

    Args:
        open_writer: called when the first row has come.
        total: how many rows there are, where that is known.
    """
    counts: Counter[str] = Counter()
    waiting: dict[str, list[Mapping[str, Any]]] = {split: [] for split in SPLITS}
    writer: DataWriter | None = None
    for split, fields in reporter.track(rows, "writing", total=total):
        writer = writer or open_writer()
        counts[split] += 1
        waiting[split].append(fields)
        if len(waiting[split]) == ROWS_AT_ONCE:
            writer.write(split, waiting[split])
            waiting[split] = []
    if writer is not None:
        for split, left in waiting.items():
            if left:
                writer.write(split, left)
        writer.close()
    return counts
