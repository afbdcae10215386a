"""Layouts of logs, opened as tables or as lines of items.

In addition to ``core.io.tables``: MovieLens' delimiter ``::``, RecBole's atomic files with headers
``name:type``, and text files with one user's items per line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from statistics import mode
from typing import Literal

from aitk.core.contract.rows import Refusal
from aitk.core.io.delimited import DELIMITERS, read_plain, sniff_delimiter
from aitk.core.io.lines import Line, Lines, open_lines
from aitk.core.io.tables import (
    DELIMITED,
    JSON_LINES,
    Record,
    Table,
    TableBlock,
    file_suffix,
    looks_like_json,
    open_table,
)
from aitk.core.io.values import to_count

ATOMIC = (".inter", ".item", ".user")
_TYPE = re.compile(r":(token|float|token_seq|float_seq)$")
_HEADER = {"auto": None, "yes": True, "no": False}
_PREVIEW_ROWS, _MIN_ADJACENCY = 200, 10


@dataclass(frozen=True, slots=True)
class Sequences:
    """A text file with one user's items per line, oldest first, separated by spaces.

    Attributes:
        lines: the file.
        user_first: the first word of a line is its user.
    """

    lines: Lines
    user_first: bool


def open_layout(
    source: str,
    *,
    header: str = "auto",
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    names: Container[str] = (),
) -> Table | Sequences:
    """Open a file by its suffix, or by content if that is inconclusive.

    Args:
        source: a path, or ``-`` for stdin.
        header: auto, yes or no.
        delimiter: one character, or ``TAB``.
        decimal: decimal separator; None: detected.
        names: usual column names (casefolded), which identify a header.

    Raises:
        DataError: the file is missing, empty, or not text.
        UsageError: ``encoding`` or ``delimiter`` is invalid.
    """
    suffix = file_suffix(source)
    column_end = "\t" if delimiter and delimiter.lower() in ("tab", r"\t") else delimiter
    has_header = _HEADER[header]
    if suffix == ".parquet":
        return open_table(source)
    lines = open_lines(source, encoding=encoding)
    column_end = column_end or lines.delimiter
    if suffix in ATOMIC and any(map(_TYPE.search, next(iter(lines.head), "").split())):
        column_end = column_end or ("\t" if "\t" in lines.head[0] else " ")
        return open_table(lines, header=True, delimiter=column_end, decimal=decimal)
    if suffix not in (*DELIMITED, *JSON_LINES) and not column_end and not looks_like_json(lines):
        kind = _kind(lines, names)
        if kind == "double colons":
            return _open_double_colons(lines)
        if kind == "pairs":
            column_end = " "
        elif kind != "table":
            return Sequences(lines, kind == "adjacency")
    return open_table(lines, header=has_header, delimiter=column_end, decimal=decimal, names=names)


def plain_name(column: str) -> str:
    """A column name without the type added by RecBole: ``user_id:token``."""
    return _TYPE.sub("", column)


def declared_type(column: str) -> str | None:
    """The type of a column in a RecBole header, or None."""
    found = _TYPE.search(column)
    return found.group(1) if found else None


def _kind(
    lines: Lines, names: Container[str]
) -> Literal["table", "double colons", "pairs", "adjacency", "sequences"]:
    """The layout of a file with an inconclusive suffix."""
    head = [line for line in lines.head if line.strip()]
    if not head:  # too long for a line of events; the table reader reports it
        return "table"
    first = head[0].strip()
    if all("::" in line for line in head):
        return "double colons"
    fields = re.split(r"[\t,;|]", first.casefold())
    if any(field.strip(' "') in names for field in fields):
        return "table"
    if sniff_delimiter(head, DELIMITERS) is not None:
        return "table"
    tokens = [line.split() for line in head]
    if all(len(line) == 2 for line in tokens) and not first.split()[0].endswith(":"):
        return "pairs"
    starts = [line[0] for line in tokens]
    if all(start.endswith(":") for start in starts) or _ascend(starts):
        return "adjacency"
    return "sequences"


def _ascend(starts: list[str]) -> bool:
    """Whether lines start with user numbers: each is larger than the previous one.

    Items do not occur in such an order unless there are very few lines.
    """
    numbers = [number for start in starts if (number := to_count(start)) is not None]
    if len(starts) < _MIN_ADJACENCY or len(numbers) < len(starts):
        return False
    return all(a < b for a, b in itertools.pairwise(numbers))


def _open_double_colons(lines: Lines) -> Table:
    source = lines.source
    head = [line.rstrip("\r\n") for line in lines.head[:_PREVIEW_ROWS] if line.strip()]
    width = mode(line.count("::") + 1 for line in head)
    columns = [str(number + 1) for number in range(width)]
    preview = [dict(zip(columns, line.split("::"), strict=False)) for line in head]

    def records(lines: Iterable[Line]) -> Iterator[tuple[int, Record] | Refusal]:
        for number, text, problem in lines:
            fields = text.rstrip("\r\n").split("::")
            if problem is None and len(fields) != width:
                if not text.strip():
                    continue
                problem = f"number of fields: {len(fields)}, not {width}"
            if problem:
                yield Refusal(source, number, problem)
            else:
                yield number, dict(zip(columns, fields, strict=True))

    def blocks() -> Iterator[TableBlock]:
        for block in lines.blocks():
            batch = read_plain(block, columns, "::", header=[], skip=False)
            yield TableBlock(batch, records(block.lines()))

    notes = [f"{source}: encoding {lines.encoding}", f"{source}: fields are delimited by ::"]
    return Table(source, columns, preview, notes, records(lines), blocks())
