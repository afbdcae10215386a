"""Rows on their way into prepared data: refusals are written down, the others kept and stored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.data import DataWriter
from aitk.core.contract.errors import DataError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import SPLITS, Refusal, Row
from aitk.core.contract.task import Task
from aitk.core.io.spool import dump_line, load_line
from aitk.core.io.values import dump_json
from aitk.core.runtime import interrupts

ROWS_AT_ONCE = 1000


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
                self.redacted.update(item.redacted)
                self.redacted["rows"] += bool(item.redacted)
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


class Spool:
    """Rows kept in a file, for a second look at them."""

    def __init__(self, path: Path, rows: Iterable[Row]):
        self._path = path
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                line = {"f": dict(row.fields), "s": row.split, "n": row.line, "p": row.file}
                file.write(dump_line(line) + "\n")

    def rows(self, task: Task) -> Iterator[tuple[Row, str]]:
        """Each row with its key."""
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                item = load_line(line, where=str(self._path))
                row = Row(item["f"], item["p"], item["n"], split=item["s"])
                interrupts.check()
                yield row, task.key(row.fields)

    def fields(self) -> Iterator[dict[str, Any]]:
        """The fields of each row alone."""
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield load_line(line, where=str(self._path))["f"]

    def remove(self) -> None:
        self._path.unlink()


class Fingerprint:
    """Names rows and their splits: equal ones have equal names."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, split: str, fields: Mapping[str, Any]) -> None:
        """Count in a row; its fields may be arrays as well as JSON values."""
        if not any(isinstance(value, np.ndarray) for value in fields.values()):
            self._digest.update(f"{split}\0{dump_line(fields, sort_keys=True)}\n".encode())
            return
        parts = [split.encode()]
        for name, value in sorted(fields.items()):
            if isinstance(value, np.ndarray):
                parts += [f"{name} {value.dtype.str} {value.shape}".encode(), value.tobytes()]
            else:
                parts.append(f"{name} {dump_line(value)}".encode())
        self._digest.update(b"\0".join(parts))

    def added(
        self, rows: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The same rows, each counted in as it passes."""
        for split, fields in rows:
            self.add(split, fields)
            yield split, fields

    def __str__(self) -> str:
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
