"""Answers as the text of a file: one JSON object a line, or a table.

A task may write its own formats (captions, COCO): classes like these, by the file's suffix, in
``Task.formats``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from aitk.core.values import dump_json


class AnswerLines(Protocol):
    """Turns rows into text, part by part.

    Attributes:
        columns: what a resumed file goes on with.
        left_out: columns that it had no place for.
        needs_columns: it must see a row before it writes anything.
    """

    columns: list[str]
    left_out: set[str]
    needs_columns: ClassVar[bool]

    def __init__(self) -> None: ...

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """The text of some more rows; the first call begins the file, unless columns are set."""

    def tail(self) -> str:
        """What ends the file."""


class JsonLines:
    """One JSON object a line."""

    needs_columns: ClassVar[bool] = False

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """A line for each row."""
        return "".join(dump_json(row, default=str) + "\n" for row in rows)

    def tail(self) -> str:
        """Nothing."""
        return ""


class CsvLines:
    """CSV with the columns of the first window, and one for errors."""

    needs_columns: ClassVar[bool] = True

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """A line for each row, the header before the first."""
        rows = list(rows)
        text = _Records()
        new = not self.columns
        if new:
            self.columns = _columns_of(rows)
        writer = csv.DictWriter(text, self.columns, extrasaction="ignore")
        if new:
            writer.writeheader()
        for row in rows:
            self.left_out.update(row.keys() - self.columns)
            writer.writerow({key: _cell(value) for key, value in row.items()})
        return text.getvalue()

    def tail(self) -> str:
        """Nothing."""
        return ""


class _Records(io.StringIO):
    """Takes records as ``csv`` ends them, and ends them with a line feed alone.

    A writer that is told to do so leaves a carriage return in a cell unquoted, and it reads back
    as the end of the record.
    """

    def write(self, record: str) -> int:
        return super().write(record.removesuffix("\r\n") + "\n")


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    good = [row for row in rows if "error" not in row] or rows
    columns = list(dict.fromkeys(key for row in [*good, *rows] for key in row))
    return columns + [name for name in ("line", "error") if name not in columns]


def _cell(value: Any) -> Any:
    """Lists and objects (top-k) as JSON inside their cell."""
    if isinstance(value, Mapping | list | tuple):
        return dump_json(value, default=str)
    return value
