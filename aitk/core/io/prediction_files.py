"""Prediction files: one JSON object per line, or a table.

Tasks may define formats of their own (captions, COCO): classes like these, by file suffix, in
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

#: Size of the part that is inspected to see whether ``predict`` wrote a file.
HEAD_BYTES, HEAD_LINES = 1 << 16, 20
#: First characters of formulas, including the wide forms of East Asian keyboards.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


class PredictionLines(Protocol):
    """Formats rows as text, part by part.

    Attributes:
        columns: columns with which a resumed file continues.
        left_out: columns that did not fit.
        needs_columns: whether it needs a row before it can write anything.
    """

    columns: list[str]
    left_out: set[str]
    needs_columns: ClassVar[bool]

    def __init__(self) -> None: ...

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str | bytes:
        """Format more rows; the first call starts the file, unless columns are set."""

    def tail(self) -> str:
        """The end of the file."""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether a file may be replaced, because its head looks as written by this class.

        Args:
            head: complete lines.
            names: the fields of each prediction (``WritesFiles.prediction_fields``).
        """


@runtime_checkable
class IndexedLines(PredictionLines, Protocol):
    """A format that needs predict options, and writes an index next to the finished file.

    Attributes:
        predict_options: required options, unless set by the user.
    """

    predict_options: ClassVar[Mapping[str, Any]]

    def index_path(self, path: Path) -> Path:
        """The path of the index; raises ``UsageError`` if it is occupied."""

    def write_index(self, path: Path) -> None:
        """Write the index of the finished file."""


@runtime_checkable
class NeedsReading(Protocol):
    """A format that needs facts found by reading besides the rows (category ids)."""

    def reading_facts(self) -> Mapping[str, Any]:
        """The facts found so far, as JSON."""

    def set_reading_facts(self, facts: Mapping[str, Any]) -> None:
        """Use facts found in another process."""


@runtime_checkable
class RewritesHead(Protocol):
    """A format that starts with the number of rows, which is known only at the end."""

    def head(self) -> bytes:
        """The final first bytes of the file, of the same length as at the start."""


class JsonLines:
    """One JSON object per line."""

    needs_columns: ClassVar[bool] = False

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """One line per row."""
        return "".join(dump_json(row, default=str) + "\n" for row in rows)

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether every line is an object with a prediction or an error."""
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

    Spreadsheets evaluate texts that look like formulas, and may fetch URLs in them. A leading
    apostrophe marks such a cell as text.

    Args:
        raw: do not escape such texts.
    """

    needs_columns: ClassVar[bool] = True

    def __init__(self, *, raw: bool = False) -> None:
        self._raw = raw
        self.columns: list[str] = []
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """One line per row, after a header line."""
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
        """Lists and objects (top-k) as JSON inside their cell, formulas as text."""
        if isinstance(value, Mapping | list | tuple):
            return dump_json(value, default=str)
        if isinstance(value, str) and not self._raw and _is_formula(value):
            return "'" + value
        return value

    def tail(self) -> str:
        """Nothing."""
        return ""

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether the header has a prediction, and line and error for rows without one."""
        header = next(csv.reader([head.partition("\n")[0]]), [])
        tops = [name.partition(".")[0] for name in names]
        return {"line", "error"} <= set(header) and _is_prediction(dict.fromkeys(header), tops)


def wrote(path: Path, lines: PredictionLines, names: Sequence[str]) -> bool:
    """Whether a file looks as written by ``predict`` with these prediction fields."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1]
    try:
        return lines.recognises(head.decode("utf-8"), names)
    except (UnicodeDecodeError, csv.Error):
        return False


def _is_prediction(row: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether a row has all named fields, or is an error row."""
    return {"line", "error"} <= row.keys() or all(_holds(row, name) for name in names)


def _holds(row: Mapping[str, Any], name: str) -> bool:
    """``boxes.score`` matches a row whose boxes, if any, have a score."""
    top, _, inner = name.partition(".")
    # If the input has a column of that name, the prediction's is renamed.
    found = [key for key in row if key == top or key.startswith(f"predicted_{top}")]
    if not found:
        return False
    value = row[found[-1]]
    if inner and isinstance(value, list) and value:
        return isinstance(value[0], Mapping) and inner in value[0]
    return True


class _Records(io.StringIO):
    """Receives records with ``csv``'s line ends, and ends them with a single line feed.

    A ``csv`` writer configured to do so leaves carriage returns in cells unquoted, and they would
    be read back as line ends.
    """

    def write(self, record: str) -> int:
        return super().write(record.removesuffix("\r\n") + "\n")


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    good = [row for row in rows if "error" not in row] or rows
    columns = list(dict.fromkeys(key for row in [*good, *rows] for key in row))
    return columns + [name for name in ("line", "error") if name not in columns]


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet evaluates a cell; a signed number is only a number."""
    if not text.startswith(FORMULA_STARTS):
        return False
    try:
        to_number(text)
    except ValueError:
        return True
    return text[0] in "\t\r\n"
