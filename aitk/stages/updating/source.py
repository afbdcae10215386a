"""A growing file, or stdin, as mini-batches of whole records.

Mini-batches are written as small files of their own, which a task reads like any other: with the
header of the table, and with file names in their cells made absolute.
"""

from __future__ import annotations

import csv
import io
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.runtime import interrupts

TABLES = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson", ".json")
_PAUSE_S = 0.2
_CHUNK = 1 << 16


@dataclass(frozen=True)
class MiniBatch:
    """Records that came one after the other.

    Attributes:
        offset: bytes of the source up to their end.
        lines: whole records, without line ends.
        at: when the last of them came, seconds since the epoch.
    """

    offset: int
    lines: tuple[str, ...]
    at: float


class Source:
    """A file that grows, or stdin: tables with a header, or JSON lines, in UTF-8.

    Args:
        name: of the file, or ``-``.
        every: rows of a mini-batch.
        seconds: ends a mini-batch that is begun after so long.
        idle: ends the source when no row came for so long; None goes on until a signal.
        header: of a table: it has one unless this is ``no``.
    """

    def __init__(
        self,
        name: str,
        *,
        every: int,
        seconds: float | None,
        idle: float | None,
        header: str = "auto",
    ):
        self.name, self.every, self.seconds, self.idle = name, every, seconds, idle
        self._header_option = header
        self.header: str | None = None
        self.suffix = Path(name).suffix.lower()
        if name == "-":
            self.suffix = ""  # the first line tells
        elif self.suffix not in (*TABLES, *LINES):
            raise UsageError(
                "cannot be followed", where=name, hint="Follow a .csv, .tsv or .jsonl file, or -"
            )

    def batches(self, offset: int = 0) -> Iterator[MiniBatch]:
        """The mini-batches from an offset on; a signal ends them between two.

        Raises:
            DataError: the file is shorter than the offset: it is another one.
        """
        pending: list[str] = []
        begun = last = time.monotonic()
        end = offset
        for line, size in self._records(offset):
            now = time.monotonic()
            if line is None:  # nothing came for a moment
                if interrupts.requested() or (self.idle is not None and now - last > self.idle):
                    break
                if pending and self.seconds is not None and now - begun >= self.seconds:
                    yield MiniBatch(end, tuple(pending), time.time())
                    pending = []
                continue
            last, end = now, end + size
            if not line.strip() or self._is_header(line, end == size):
                continue
            if not pending:
                begun = now
            pending.append(line)
            late = self.seconds is not None and now - begun >= self.seconds
            if len(pending) >= self.every or late:
                yield MiniBatch(end, tuple(pending), time.time())
                pending, last = [], time.monotonic()  # learning is no pause of the source
            if interrupts.requested():
                break
        if pending and not interrupts.requested():
            yield MiniBatch(end, tuple(pending), time.time())

    def write(self, batch: MiniBatch, folder: Path) -> Path:
        """A mini-batch as a file of its own."""
        path = folder / f"rows-to-{batch.offset}{self.suffix}"
        base = Path.cwd() if self.name == "-" else Path(self.name).resolve().parent
        lines = [self._located(line, base) for line in batch.lines]
        if self.header is not None:
            lines.insert(0, self.header)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def _is_header(self, line: str, first: bool) -> bool:
        """Whether a line is the header, which is kept; tells the format of stdin, too."""
        if not self.suffix:
            self.suffix = ".jsonl" if line.lstrip().startswith("{") else ".csv"
        if not first or self.suffix not in TABLES or self._header_option == "no":
            return False
        self.header = line  # one line cannot tell: a table has a header unless its reading says no
        return True

    def _records(self, offset: int) -> Iterator[tuple[str | None, int]]:
        """Whole records with their size in bytes; None where none came for a moment."""
        if self.name == "-":
            yield from _split(_read_stdin(), self._quoted)
            return
        path = Path(self.name)
        try:
            file = path.open("rb")
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", where=self.name) from error
        with file:
            if os.fstat(file.fileno()).st_size < offset:
                raise DataError(
                    "is shorter than when it was followed before", where=self.name,
                    hint="Follow it into another --out",
                )  # fmt: skip
            if offset and self.suffix in TABLES and self._header_option != "no":
                first = file.readline().decode("utf-8", "replace").rstrip("\r\n")
                self._is_header(first, True)
            file.seek(offset)
            yield from _split(_read_growing(file), self._quoted)

    @property
    def _quoted(self) -> bool:
        """Whether a record may go on in the next line, inside quotation marks."""
        return self.suffix in TABLES or not self.suffix

    def _located(self, line: str, base: Path) -> str:
        """A record whose file names no longer count from the folder of the source."""

        def located(value: Any) -> Any:
            if isinstance(value, str) and 0 < len(value) < 4096 and "\0" not in value:
                path = base / value
                if not os.path.isabs(value) and os.path.isfile(path):
                    return str(path)
            return value

        if self.suffix not in TABLES:
            try:
                record = json.loads(line)
            except ValueError:
                return line  # the task refuses it
            if not isinstance(record, dict):
                return line
            return json.dumps({k: located(v) for k, v in record.items()}, ensure_ascii=False)
        delimiter = TABLES[self.suffix]
        cells = next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
        found = [located(cell) for cell in cells]
        if found == cells:
            return line
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="").writerow(found)
        return text.getvalue()


def _read_growing(file: BinaryIO) -> Iterator[bytes]:
    """What is in a file and what is added to it; nothing where nothing came for a moment."""
    while True:
        found = file.read(_CHUNK)
        yield found
        if not found:
            time.sleep(_PAUSE_S)


def _read_stdin() -> Iterator[bytes]:
    """What comes, until its end; nothing where nothing came for a moment."""
    descriptor = sys.stdin.fileno()
    while True:
        ready, _, _ = select.select([descriptor], [], [], _PAUSE_S)
        if not ready:
            yield b""
            continue
        found = os.read(descriptor, _CHUNK)
        if not found:
            return
        yield found


def _split(chunks: Iterator[bytes], quoted: bool) -> Iterator[tuple[str | None, int]]:
    """Chunks of bytes as records; the last line counts as one only when it has ended."""
    rest, open_record = b"", b""
    for chunk in chunks:
        if not chunk:
            yield None, 0
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            record = open_record + line
            if quoted and not record.lstrip().startswith(b"{") and record.count(b'"') % 2:
                open_record = record + b"\n"
                continue
            open_record = b""
            text = record.decode("utf-8", "replace").rstrip("\r").lstrip("\ufeff")
            yield text, len(record) + 1
    if open_record + rest:
        text = (open_record + rest).decode("utf-8", "replace")
        yield text.rstrip("\r\n"), len(open_record) + len(rest)
