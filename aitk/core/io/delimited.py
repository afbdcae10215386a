"""Comma- or TAB-separated records: RFC 4180, and looser variants in common use.

Quotation marks have two interpretations. In CSV, a field that starts with one is quoted and may
contain delimiters and line ends. TAB-separated corpora mostly use quotation marks literally, so
there a line with the right number of fields is read as is.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from statistics import mode
from typing import TYPE_CHECKING, Any, NamedTuple

from aitk.core.io.lines import MAX_LINE_BYTES, Block, Line, LineBatch

if TYPE_CHECKING:
    import pyarrow

#: In order of preference if a file's lines fit several.
DELIMITERS = ("\t", ",", ";", "|")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
#: A number with a decimal comma, optionally with dots between thousands; or an integer.
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
#: Whitespace, and the byte order marks inside concatenated files.
_AROUND = " \t\ufeff"
#: Stands for a delimiter of several characters, where the text holds none of its own.
_UNIT_SEPARATOR = b"\x1f"
_SENTENCE_END = (".", "!", "?", ",", "。", "！", "？")


class Record(NamedTuple):
    """The fields of one record, or the fault that makes it unusable."""

    line: int
    fields: list[str]
    problem: str | None


class _Malformed(Exception):
    """The quotation marks of a record are not balanced."""


def split_records(
    lines: Iterable[Line], delimiter: str, *, width: int | None = None
) -> Iterator[Record]:
    """Split lines into records of ``width`` fields (any number if None), skipping blank lines.

    After a record with unbalanced quotation marks, reading continues with the next line.
    """
    batches = (LineBatch(line.number, [], checked=[line]) for line in lines)
    return split_batches(batches, delimiter, width=width)


def split_batches(
    batches: Iterable[LineBatch], delimiter: str, *, width: int | None = None
) -> Iterator[Record]:
    """``split_records`` of lines that come many at once, in a third of the time."""
    source = iter(batches)
    waiting: deque[Line] = deque()

    def pull() -> Line | None:
        while not waiting:
            batch = next(source, None)
            if batch is None:
                return None
            waiting.extend(batch.lines())
        return waiting.popleft()

    for batch in source:
        records = None if batch.checked is not None else _split_whole(batch.texts, delimiter)
        if records is not None:
            for number, fields in enumerate(records, batch.first):
                if len(fields) == width:
                    yield Record(number, fields, None)
                elif fields:
                    yield _fitted(number, fields, None, width)
            continue
        waiting.extend(batch.lines())
        while waiting:
            line = waiting.popleft()
            number, text, problem = line
            if '"' in text:
                fields, pulled, flaw, unused = _split_quoted(line, pull, delimiter, width)
                waiting.extendleft(reversed(unused))
                flaws = (each.problem for each in (line, *pulled) if each.problem)
                problem = next(flaws, flaw)
            else:
                body = text.rstrip("\r\n")
                if not body and problem is None:
                    continue
                fields = body.split(delimiter)
            yield _fitted(number, fields, problem, width)


def _split_whole(texts: Sequence[str], delimiter: str) -> list[list[str]] | None:
    """The fields of lines, none of a blank one; None unless each line is a record."""
    if not any('"' in text for text in texts):
        bodies = (text.rstrip("\r") for text in texts)
        return [body.split(delimiter) if body else [] for body in bodies]
    if delimiter == "\t":
        return None
    try:
        records = list(csv.reader(texts, _dialect(delimiter)))
    except csv.Error:
        return None
    # A record of several lines, or a lonely quotation mark, makes fewer records than lines.
    return records if len(records) == len(texts) else None


def _fitted(number: int, fields: list[str], problem: str | None, width: int | None) -> Record:
    """A record of ``width`` fields, or with the fault that it has another number of them."""
    if width is not None and len(fields) > width and not any(fields[width:]):
        fields = fields[:width]  # spreadsheet programs add empty trailing columns
    if problem is None and width is not None and len(fields) != width:
        problem = f"number of fields: {len(fields)}, not {width}"
    return Record(number, fields, problem)


def sniff_delimiter(head: Sequence[str], candidates: Sequence[str] = DELIMITERS) -> str | None:
    """The delimiter that splits most records into as many fields as the first, at least two."""
    best, best_share = None, 0.5
    for delimiter in candidates:
        widths = [len(record.fields) for record in split_records(as_lines(head), delimiter)]
        share = widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0.0
        if share > best_share:
            best, best_share = delimiter, share
    return best


def sniff_width(head: Sequence[str], delimiter: str) -> int:
    """The number of fields of most records."""
    if delimiter == "\t":
        return mode(line.count(delimiter) + 1 for line in head if line.strip("\r\n"))
    return mode(len(record.fields) for record in split_records(as_lines(head), delimiter))


def without_empty_ends(records: Sequence[Sequence[str]], width: int) -> int:
    """The width without trailing columns that are empty in all records, as in spreadsheets."""
    return max((_used(record) for record in records if len(record) <= width), default=0) or width


def decimal_comma_columns(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns whose numbers have a decimal comma: ``4,5``, ``1.234,56``.

    A column where every comma precedes three digits (``1,234``) may use it for thousands: excluded.
    """
    found = []
    for column in columns:
        cells = [cell for row in rows if (cell := row.get(column, "").strip())]
        commas = [cell for cell in cells if "," in cell]
        numeric = all(map(_DECIMAL_COMMA.fullmatch, cells))
        if commas and numeric and not all(map(_THOUSANDS.fullmatch, commas)):
            found.append(column)
    return found


def with_decimal_point(cell: str) -> str:
    """``1.234,5`` as ``1234.5``; other cells are unchanged."""
    if "," not in cell or not _DECIMAL_COMMA.fullmatch(cell.strip()):
        return cell
    return cell.strip().replace(".", "").replace(",", ".")


def has_header(records: Sequence[Sequence[str]], names: Container[str] = ()) -> bool:
    """Whether the first record is a header.

    It is if it has one of the (casefolded) usual column ``names``, unless that value recurs in its
    column: ``question`` may be a label. It is not if one of its fields is a number, reads like a
    sentence, or recurs in its column, as labels do. Otherwise it is assumed to be a header.

    """
    first, *others = [[field.strip(_AROUND) for field in record] for record in records]
    # Concatenated files repeat the header.
    body = [record for record in others if len(record) == len(first) and record != first]
    for at, field in enumerate(first):
        if field.casefold() in names:
            return sum(record[at] == field for record in body) < 2
    # An index column has no name: its field may be empty.
    if not body or not all(_is_name(field) for field in (first[0] or "index", *first[1:])):
        return False
    if any(name in {record[at] for record in body} for at, name in enumerate(first)):
        return False
    if len(first) == 1:
        return " " not in first[0] and all(len(record[0]) > len(first[0]) for record in body)
    return True


def as_lines(texts: Iterable[str]) -> Iterator[Line]:
    """Texts read ahead, as lines."""
    return (Line(number, text, None) for number, text in enumerate(texts, 1))


def read_plain(
    block: Block, columns: Sequence[str], delimiter: str, *, header: Sequence[str], skip: bool
) -> pyarrow.RecordBatch | None:
    """The records of a block as one batch of strings; None where it is not plain.

    Many times faster than record by record. Plain is what any reader would read alike: no quotation
    marks, the same number of fields in each line, valid UTF-8.

    Args:
        columns: names of the fields of a record.
        header: the names in the file, empty where it has none: a block that holds them again,
            as files that were put together do, is not plain.
        skip: the first line is the header.
    """
    content = block.plain(after_first=skip)
    if not content or not delimiter.isascii():
        return None
    if header and content.startswith(line := delimiter.join(header).encode()):
        return None
    if header and b"\n" + line in content:
        return None
    mark = delimiter.encode()
    if len(mark) > 1:
        if _UNIT_SEPARATOR in content:
            return None
        content, mark = content.replace(mark, _UNIT_SEPARATOR), _UNIT_SEPARATOR
    import pyarrow
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    try:
        table = read_csv(
            io.BytesIO(content),
            ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=list(columns)),
            ParseOptions(delimiter=mark.decode(), quote_char=False, ignore_empty_lines=False),
            ConvertOptions(
                column_types=dict.fromkeys(columns, pyarrow.string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except pyarrow.ArrowInvalid:  # another number of fields, or no UTF-8
        return None
    return table.combine_chunks().to_batches()[0] if len(table) else None


def _split_quoted(
    line: Line, pull: Callable[[], Line | None], delimiter: str, width: int | None
) -> tuple[list[str], list[Line], str | None, list[Line]]:
    """The fields of a record with quotation marks, the further lines it spans, its fault if any,
    and the lines that were pulled but are not part of it."""
    if delimiter != "\t":
        try:
            # Python's own parser, in C, takes nearly all records: those correct on their line.
            return next(csv.reader((line.text,), _dialect(delimiter))), [], None, []
        except (csv.Error, StopIteration):
            pass
    pulled: list[Line] = []
    fields, flaw = [], None
    try:
        fields = _parse_quoted(line.text, pull, pulled, delimiter)
    except _Malformed as error:
        flaw = str(error)
    plain = line.text.rstrip("\r\n").split(delimiter)
    plain_fits = len(plain) == width
    if delimiter == "\t" and fields:
        lines_fit = plain_fits and all(each.text.count("\t") + 1 == width for each in pulled)
        if (pulled and lines_fit) or (width is not None and len(fields) != width):
            return [_unquote(field) for field in plain], [], None, pulled
    if fields:
        return fields, pulled, None, []
    if delimiter == "\t" or (plain_fits and width != 1):
        return [_unquote(field) for field in plain], [], None, pulled
    return plain, [], flaw, pulled


@functools.cache
def _dialect(delimiter: str) -> Any:
    """Made once: making it for each line takes a third of reading it."""
    return csv.reader((), delimiter=delimiter, strict=True).dialect


def _parse_quoted(
    text: str, pull: Callable[[], Line | None], pulled: list[Line], delimiter: str
) -> list[str]:
    """RFC 4180: a quoted field starts and ends with a quotation mark; two stand for one."""
    fields: list[str] = []
    position, size = 0, len(text)
    while True:
        if not text.startswith('"', position):
            end = text.find(delimiter, position)
            if end < 0:
                return [*fields, text[position:].rstrip("\r\n")]
            fields.append(text[position:end])
            position = end + 1
            continue
        parts, start = [], position + 1
        while True:
            end = text.find('"', start)
            if end >= 0 and text.startswith('"', end + 1):
                parts.append(text[start : end + 1])
                start = end + 2
                continue
            if end >= 0:
                break
            parts.append(text[start:])
            line = pull() if size < MAX_LINE_BYTES else None
            if line is None:
                raise _Malformed("a field has an opening quotation mark but no closing one")
            pulled.append(line)
            text, start = line.text, 0
            size += len(text)
        fields.append("".join(parts) + text[start:end])
        position = end + 1
        if text.startswith(delimiter, position):
            position += 1
        elif text[position:].rstrip("\r\n"):
            raise _Malformed("text follows the closing quotation mark of a field")
        else:
            return fields


def _unquote(field: str) -> str:
    """A field without its surrounding quotation marks, if it is properly quoted."""
    inner = field[1:-1]
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field


def _used(record: Sequence[str]) -> int:
    """The number of fields up to the last nonempty one."""
    return next((at for at in range(len(record), 0, -1) if record[at - 1].strip()), 0)


def _is_name(field: str) -> bool:
    is_short = 0 < len(field) <= 40 and field.count(" ") < 3
    return is_short and not _NUMBER.fullmatch(field) and not field.endswith(_SENTENCE_END)
