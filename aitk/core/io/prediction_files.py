"""Predictions as the text of a file: one JSON object a line, or a table.

A task may write its own formats (captions, COCO): classes like these, by the file's suffix, in
``WritesFiles.prediction_formats``.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from aitk.core.io.values import dump_json, parse_json, to_number

#: As much of a file is looked at to see whether ``predict`` wrote it.
HEAD_BYTES, HEAD_LINES = 1 << 16, 20
#: How a formula begins, also in the wide forms of East Asian keyboards.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


class PredictionLines(Protocol):
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

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str | bytes:
        """The content of some more rows; the first call begins the file, unless columns are set."""

    def tail(self) -> str:
        """What ends the file."""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether a file that begins so may be replaced: it looks as if this class wrote it.

        Args:
            head: whole lines.
            names: the fields of each prediction (``WritesFiles.prediction_fields``).
        """


@runtime_checkable
class IndexedLines(PredictionLines, Protocol):
    """A format that needs predict options, and writes an index beside the finished file.

    Attributes:
        predict_options: what the format needs, unless the user says otherwise.
    """

    predict_options: ClassVar[Mapping[str, Any]]

    def index_path(self, path: Path) -> Path:
        """Where the index of this file will be; raises a ``UsageError`` if it is in the way."""

    def write_index(self, path: Path) -> None:
        """Write the index of the finished file."""


@runtime_checkable
class NeedsReading(Protocol):
    """A format that needs what reading has found besides the rows (ids of categories)."""

    def reading_facts(self) -> Mapping[str, Any]:
        """What was found so far, as JSON."""

    def set_reading_facts(self, facts: Mapping[str, Any]) -> None:
        """Use what was found in another process."""


@runtime_checkable
class RewritesHead(Protocol):
    """A format that begins with the number of rows, which only its end tells."""

    def head(self) -> bytes:
        """The first bytes of the whole file, as many as it began with."""


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

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Every line is an object with a prediction, or the error of its line."""
        try:
            rows = [
                parse_json(line) for line in itertools.islice(head.split("\n"), HEAD_LINES) if line
            ]
        except ValueError:
            return False
        return bool(rows) and all(
            isinstance(row, dict) and _is_prediction(row, names) for row in rows
        )


class CsvLines:
    """CSV with the columns of the first window, and one for errors.

    A spreadsheet evaluates a text that begins like a formula, and may fetch what it names. An
    apostrophe before it makes it text again.

    Args:
        raw: write such texts as they are.
    """

    needs_columns: ClassVar[bool] = True

    def __init__(self, *, raw: bool = False) -> None:
        self._raw = raw
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """A line for each row, the header before the first."""
        rows = list(rows)
        text = _Records()
        new = not self.columns
        if new:
            self.columns = _columns_of(rows)
        writer = csv.writer(text)
        if new:
            writer.writerow(map(self._cell, self.columns))
        for row in rows:
            self.left_out.update(row.keys() - self.columns)
            writer.writerow(self._cell(row.get(name, "")) for name in self.columns)
        return text.getvalue()

    def _cell(self, value: Any) -> Any:
        """Lists and objects (top-k) as JSON inside their cell, formulas as texts."""
        if isinstance(value, Mapping | list | tuple):
            return dump_json(value, default=str)
        if isinstance(value, str) and not self._raw and _is_formula(value):
            return "'" + value
        return value

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """The header names a prediction, and the line and error of rows without one."""
        header = next(csv.reader([head.partition("\n")[0]]), [])
        tops = [name.partition(".")[0] for name in names]
        return {"line", "error"} <= set(header) and _is_prediction(dict.fromkeys(header), tops)


def wrote(path: Path, lines: PredictionLines, names: Sequence[str]) -> bool:
    """Whether a file looks as if ``predict`` wrote it, for predictions with these fields."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1]
    try:
        return lines.recognises(head.decode("utf-8"), names)
    except (UnicodeDecodeError, csv.Error):
        return False


def _is_prediction(row: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether a row holds what each name says, or is that of a record in error."""
    return {"line", "error"} <= row.keys() or all(_holds(row, name) for name in names)


def _holds(row: Mapping[str, Any], name: str) -> bool:
    """``boxes.score`` is held by a row whose boxes, if it has any, have a score."""
    top, _, inner = name.partition(".")
    # Where the input has a column of that name, the prediction has another one.
    found = [key for key in row if key == top or key.startswith(f"predicted_{top}")]
    if not found:
        return False
    value = row[found[-1]]
    if inner and isinstance(value, list) and value:
        return isinstance(value[0], Mapping) and inner in value[0]
    return True


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


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet evaluates a cell: a number with a sign is but a number."""
    if not text.startswith(FORMULA_STARTS):
        return False
    try:
        to_number(text)
    except ValueError:
        return True
    return text[0] in "\t\r\n"
