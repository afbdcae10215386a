"""Records from tabular files, streamed: CSV, TSV, JSON lines, Parquet; plain, gzip or stdin."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
from aitk.core.io.delimited import (
    as_lines,
    decimal_comma_columns,
    has_header,
    read_plain,
    sniff_delimiter,
    sniff_width,
    split_batches,
    split_records,
    with_decimal_point,
    without_empty_ends,
)
from aitk.core.io.files import check_file
from aitk.core.io.lines import LineBatch, Lines, open_lines
from aitk.core.io.names import shorten
from aitk.core.io.values import parse_json, quoted, to_count

if TYPE_CHECKING:
    import pyarrow

DELIMITED, JSON_LINES = (".csv", ".tsv", ".tab"), (".jsonl", ".ndjson", ".json")
SUFFIXES = (*DELIMITED, *JSON_LINES, ".parquet")

Record = dict[str, Any]
MAX_COLUMNS = 100_000
_LISTED = 30  # maximum columns listed in a message
_PREVIEW_ROWS = 200
_BLOCK_ROWS = 1 << 16
_MARK = "\ufeff"  # starts each part of a concatenated file
_LABEL_STUDIO = re.compile(r'"(annotations|completions)"\s*:\s*\[')
_DELIMITER_NAMES = {"\t": "TAB", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}


@dataclass
class Table:
    """An opened file of records, to be iterated once: ``(line, record)`` or a ``Refusal``.

    Attributes:
        source: the file as given by the user.
        columns: names of its columns; for JSON lines, those in its first lines.
        preview: its first records, for look-ahead.
        notes: automatic decisions about it.
    """

    source: str
    columns: list[str]
    preview: list[Record]
    notes: list[str]
    _records: Iterator[tuple[int, Record] | Refusal]
    _blocks: Iterator[TableBlock] | None = None

    def __iter__(self) -> Iterator[tuple[int, Record] | Refusal]:
        return self._records

    def blocks(self) -> Iterator[TableBlock]:
        """The same in blocks, to be iterated once, in place of the records."""
        return iter([TableBlock(None, self._records)]) if self._blocks is None else self._blocks


@dataclass(frozen=True)
class TableBlock:
    """Some records of a table that follow each other, in two forms, of which one is to be used.

    Attributes:
        batch: a column of values for each column of the table, of strings if the file is text;
            None unless every record is as plain as most are.
        records: the same as of the table itself.
    """

    batch: pyarrow.RecordBatch | None
    records: Iterator[tuple[int, Record] | Refusal]


def open_table(
    source: str | Lines,
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    names: Container[str] = (),
) -> Table:
    """Open a tabular file by its suffix, or by content if that is inconclusive.

    Args:
        source: a path, ``-`` for stdin, or lines opened already.
        header: whether the first record is a header; None: detected. Without a header, columns are
            called 1, 2 and so on.
        delimiter: one character; None: detected.
        encoding: None: detected.
        decimal: decimal separator, ``.`` or ``,``; None: detected for each column of a file whose
            delimiter is not a comma.
        names: usual column names (casefolded), which identify a header.

    Raises:
        DataError: the file is missing, a folder, empty, or not a table.
        UsageError: ``encoding`` or ``delimiter`` is invalid.
    """
    if isinstance(source, str):
        if file_suffix(source) == ".parquet":
            return _open_parquet(source)
        source = open_lines(source, encoding=encoding)
    suffix = file_suffix(source.source)
    if suffix in JSON_LINES or (suffix not in DELIMITED and looks_like_json(source)):
        return _open_json_lines(source)
    return _open_delimited(source, header, delimiter, decimal, names)


def file_suffix(source: str) -> str:
    """The suffix that gives the type of a file: ``.csv`` for ``a.csv.gz``."""
    return Path(source.lower().removesuffix(".gz")).suffix


def looks_like_json(lines: Lines) -> bool:
    """Whether the first line is a JSON object."""
    first = next((line.lstrip() for line in lines.head if line.strip()), "")
    return first.startswith("{")


def find_column(
    columns: Sequence[str], wanted: str | None, usual: Sequence[str], *, what: str, where: str
) -> str:
    """The column named or numbered (from 1) by ``wanted``, else the first with a usual name.

    Raises:
        UsageError: the column does not exist; the nearest one is named.
        DataError: no column was given and none has a usual name.
    """
    listed = f"Columns: {list_names(columns)}"
    if wanted is None:
        found = usual_column(columns, usual)
        if found is None:
            hint = f"Choose one with --{what}-column NAME. {listed}"
            raise DataError(f"cannot tell which column is the {what}", where=where, hint=hint)
        if any(re.fullmatch(re.escape(found) + r"\.\d+", column) for column in columns):
            hint = f"Choose one with --{what}-column NUMBER. {listed}"
            raise DataError(f"two columns have the name {found!r}", where=where, hint=hint)
        return found
    if wanted in columns:
        return wanted
    if 1 <= (to_count(wanted) or 0) <= len(columns):
        return columns[int(wanted) - 1]
    folded = {column.casefold(): column for column in columns}
    near = difflib.get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.5)
    hint = f"Did you mean {folded[near[0]]!r}? {listed}" if near else listed
    raise UsageError(f"no column {quoted(wanted)}", where=where, hint=hint)


def list_names(names: Sequence[str]) -> str:
    """Column names for a message, abbreviated if there are many."""
    listed = ", ".join(map(shorten, names[:_LISTED]))
    return listed + f" and {len(names) - _LISTED:,} more" * (len(names) > _LISTED)


def usual_column(columns: Sequence[str], usual: Sequence[str]) -> str | None:
    """The column with the first of the usual names, ignoring case."""
    folded = {column.strip().casefold(): column for column in columns}
    return next((folded[name] for name in usual if name in folded), None)


def _open_delimited(
    lines: Lines,
    header: bool | None,
    delimiter: str | None,
    decimal: str | None,
    names: Container[str],
) -> Table:
    source, head = lines.source, lines.head[:_PREVIEW_ROWS]
    notes = [f"{source}: encoding {lines.encoding}"]
    if not any(line.strip("\r\n") for line in head):
        raise DataError("its first lines are blank or too long for a table", where=source)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UsageError(f"{quoted(delimiter)} is not a valid delimiter", hint="Use one character")
    delimiter = delimiter or lines.delimiter
    if delimiter is None:
        suffix = file_suffix(source)
        delimiter = "\t" if suffix in (".tsv", ".tab") else sniff_delimiter(head) or ","
        if delimiter != {".tsv": "\t", ".tab": "\t"}.get(suffix, ","):
            notes.append(f"{source}: fields are delimited by {_DELIMITER_NAMES[delimiter]}")
    width = sniff_width(head, delimiter)
    fields = [record.fields for record in split_records(as_lines(head), delimiter)]
    width = without_empty_ends(fields, width)
    first = [
        record.fields
        for record in split_records(as_lines(head), delimiter, width=width)
        if not record.problem or record.line == 1
    ]
    if header is None:
        header = has_header(first, names)
        if not header:
            notes.append(f"{source}: no header; columns are numbered 1 to {width}")
    named = first.pop(0) if header and first else []
    columns = _column_names(named or [""] * width, notes, source)
    first = [fields for fields in first if not _repeats(fields, named)]
    preview = [dict(zip(columns, fields, strict=False)) for fields in first]
    commas = columns if decimal == "," else []
    if decimal is None and delimiter != ",":
        commas = decimal_comma_columns(columns, preview)
        if commas:
            notes.append(f"{source}: numbers with a decimal comma in {', '.join(commas)}")
    preview = [_with_points(record, commas) for record in preview]

    def records(batches: Iterable[LineBatch], skip: bool) -> Iterator[tuple[int, Record] | Refusal]:
        for number, fields, problem in split_batches(batches, delimiter, width=len(columns)):
            if skip:
                skip = False
            elif _repeats(fields, named):
                yield Refusal(source, number, "it repeats the header, as in concatenated files")
            elif problem:
                yield Refusal(source, number, problem)
            else:
                yield number, _with_points(dict(zip(columns, fields, strict=True)), commas)

    def blocks() -> Iterator[TableBlock]:
        skip = bool(header)
        for block in lines.blocks():
            batch = None
            if not commas:
                batch = read_plain(block, columns, delimiter, header=named, skip=skip)
            # Behind a quotation mark a field may go on in the next block.
            whole = batch is not None or b'"' not in block.content
            yield TableBlock(batch, records(block.batches() if whole else block.rest(), skip))
            skip = False

    return Table(source, columns, preview, notes, records(lines.batches(), bool(header)), blocks())


def _with_points(record: Record, columns: Sequence[str]) -> Record:
    """A record with decimal points instead of commas in these columns."""
    if not columns:
        return record
    return record | {name: with_decimal_point(record.get(name, "")) for name in columns}


def _repeats(fields: Sequence[str], header: Sequence[str]) -> bool:
    """Whether a record repeats the header, as in concatenated files."""
    if len(header) < 2 or len(fields) != len(header) or not fields[-1].endswith(header[-1]):
        return False
    return [field.lstrip(_MARK) for field in fields] == list(header)


def _column_names(fields: Sequence[str], notes: list[str], source: str) -> list[str]:
    if len(fields) > MAX_COLUMNS:
        reason = f"has {len(fields):,} columns, over the limit of {MAX_COLUMNS:,}"
        raise DataError(reason, where=source)
    names: dict[str, None] = {}
    renamed: list[str] = []
    for number, field in enumerate(fields, 1):
        name = field.strip() or str(number)
        if name in names:
            second = name
            while name in names:
                name = f"{name}.{number}"
            renamed.append(f"{source}: the second column {second!r} was renamed to {name}")
        names[name] = None
    notes += renamed[:_LISTED]
    if len(renamed) > _LISTED:
        notes.append(f"{source}: {len(renamed) - _LISTED:,} more columns repeat a name")
    return list(names)


def _open_json_lines(lines: Lines) -> Table:
    source = lines.source
    if lines.head and lines.head[0].lstrip().startswith("["):
        hint = "Use one object per line, for instance with: jq -c '.[]'"
        if _LABEL_STUDIO.search("".join(lines.head[:_PREVIEW_ROWS])[:100_000]):
            hint = "It comes from Label Studio: export CSV or TSV there"
        raise DataError("is one JSON array, not JSON lines", where=source, hint=hint)
    if lines.head and lines.head[0].strip() == "{":
        hint = "Use one object per line, for instance with: jq -c ."
        raise DataError("has JSON objects that span several lines", where=source, hint=hint)
    parsed = (_parse_object(line) for line in lines.head[:_PREVIEW_ROWS])
    preview = [record for record in parsed if isinstance(record, dict)]
    columns = list(dict.fromkeys(name for record in preview for name in record))

    def records() -> Iterator[tuple[int, Record] | Refusal]:
        for number, text, problem in lines:
            if problem:
                yield Refusal(source, number, problem)
            elif not text.isspace():
                record = _parse_object(text)
                if isinstance(record, dict):
                    yield number, record
                else:
                    yield Refusal(source, number, record)

    return Table(source, columns, preview, [f"{source}: encoding {lines.encoding}"], records())


def _parse_object(text: str) -> Record | str:
    """The JSON object on a line, or the reason why there is none."""
    try:
        record = parse_json(text)
    except ValueError as error:
        return f"it is not JSON ({getattr(error, 'msg', None) or error})"
    if not isinstance(record, dict):
        return "it is JSON, but not an object"
    return record


def _open_parquet(source: str) -> Table:
    import pyarrow

    from aitk.core.io.arrow_records import all_plain, open_parquet, read_batch

    check_file(Path(source))
    notes: list[str] = []
    try:
        file = open_parquet(source)
        first = next(file.iter_batches(batch_size=_PREVIEW_ROWS), None)
        columns = _column_names(file.schema_arrow.names, notes, source)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot be read as Parquet ({error})", where=source) from error
    if first is None:
        raise DataError("has no rows", where=source)

    def records() -> Iterator[tuple[int, Record] | Refusal]:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=1024):
                for record in read_batch(batch, columns, where=source):
                    number += 1
                    if isinstance(record, str):
                        yield Refusal(source, number, record)
                    else:
                        yield number, record
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise DataError(f"is damaged after row {number} ({error})", where=source) from error
        finally:
            file.close()

    def blocks() -> Iterator[TableBlock]:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=_BLOCK_ROWS):
                plain = batch.rename_columns(columns) if all_plain(batch) else None
                yield TableBlock(plain, numbered(batch, number))
                number += len(batch)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise DataError(f"is damaged after row {number} ({error})", where=source) from error
        finally:
            file.close()

    def numbered(batch: Any, number: int) -> Iterator[tuple[int, Record] | Refusal]:
        for at, record in enumerate(read_batch(batch, columns, where=source), number + 1):
            yield Refusal(source, at, record) if isinstance(record, str) else (at, record)

    found = read_batch(first, columns, where=source)
    preview = [record for record in found if isinstance(record, dict)]
    return Table(source, columns, preview, notes, records(), blocks())
