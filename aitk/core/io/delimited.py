"""Records of comma- or TAB-separated text: RFC 4180, and the looser files people have.

Two readings of a quotation mark compete. In CSV a field that begins with one is quoted and
may hold delimiters and line ends. TAB-separated corpora mostly write quotation marks as they
are, so there a line that has the right number of fields is taken as it stands.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from statistics import mode
from typing import NamedTuple

from aitk.core.io.lines import MAX_LINE_BYTES, Line

#: In the order of preference where a file's lines fit several.
DELIMITERS = ("\t", ",", ";", "|")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
#: With a decimal comma, perhaps points between thousands; or a whole number.
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
#: Spaces, and the mark at the beginning of each of several files that were put together.
_AROUND = " \t\ufeff"
_SENTENCE_END = (".", "!", "?", ",", "。", "！", "？")


class Record(NamedTuple):
    """The fields of one record, or the problem that makes it unusable."""

    line: int
    fields: list[str]
    problem: str | None


class _Malformed(Exception):
    """The quotation marks of a record do not pair."""


def split_records(
    lines: Iterable[Line], delimiter: str, *, width: int | None = None
) -> Iterator[Record]:
    """Cut lines into records of ``width`` fields (any number if None). Blank lines are skipped.

    After a record whose quotation marks do not pair, reading goes on with the very next line.
    """
    source = iter(lines)
    waiting: deque[Line] = deque()

    def pull() -> Line | None:
        return waiting.popleft() if waiting else next(source, None)

    while (line := pull()) is not None:
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
        if width is not None and len(fields) > width and not any(fields[width:]):
            fields = fields[:width]  # spreadsheet programs write empty columns at the end
        if problem is None and width is not None and len(fields) != width:
            problem = f"number of fields: {len(fields)}, not {width}"
        yield Record(number, fields, problem)


def sniff_delimiter(head: Sequence[str], candidates: Sequence[str] = DELIMITERS) -> str | None:
    """The delimiter that cuts most records into as many fields as the first, at least two."""
    best, best_share = None, 0.5
    for delimiter in candidates:
        widths = [len(record.fields) for record in split_records(as_lines(head), delimiter)]
        share = widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0.0
        if share > best_share:
            best, best_share = delimiter, share
    return best


def sniff_width(head: Sequence[str], delimiter: str) -> int:
    """How many fields most records have."""
    if delimiter == "\t":
        return mode(line.count(delimiter) + 1 for line in head if line.strip("\r\n"))
    return mode(len(record.fields) for record in split_records(as_lines(head), delimiter))


def without_empty_ends(records: Sequence[Sequence[str]], width: int) -> int:
    """The width without the last columns that are empty in all records, as spreadsheets have."""
    return max((_used(record) for record in records if len(record) <= width), default=0) or width


def decimal_comma_columns(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns with numbers whose decimals follow a comma: ``4,5``, ``1.234,56``.

    Where each comma has three digits after it (``1,234``) it may separate thousands: not taken.
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
    """``1.234,5`` as ``1234.5``; a cell that is no number with a comma stays."""
    if "," not in cell or not _DECIMAL_COMMA.fullmatch(cell.strip()):
        return cell
    return cell.strip().replace(".", "").replace(",", ".")


def has_header(records: Sequence[Sequence[str]], names: Container[str] = ()) -> bool:
    """Whether the first record names the columns.

    It does if it holds one of the (casefolded) ``names`` that columns usually have, unless that
    comes again and again below in its column: ``question`` may be a label. It does not if a field
    of it is a number, reads like a sentence, or comes again below in its column, as labels do.
    Otherwise it is taken to.
    """
    first, *others = [[field.strip(_AROUND) for field in record] for record in records]
    # Files that were put together have the header again in between.
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
    """Texts that were looked ahead at, as lines."""
    return (Line(number, text, None) for number, text in enumerate(texts, 1))


def _split_quoted(
    line: Line, pull: Callable[[], Line | None], delimiter: str, width: int | None
) -> tuple[list[str], list[Line], str | None, list[Line]]:
    """The fields of a record with quotation marks, the further lines it took, what is wrong
    with it, and the lines that were pulled and are not part of it."""
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


def _parse_quoted(
    text: str, pull: Callable[[], Line | None], pulled: list[Line], delimiter: str
) -> list[str]:
    """RFC 4180: a field that begins with a quotation mark ends with one; two stand for one."""
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
                raise _Malformed("a quotation mark opens a field and none closes it")
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
    """A field without the quotation marks around it, if it is wholly and properly quoted."""
    inner = field[1:-1]
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field


def _used(record: Sequence[str]) -> int:
    """How many fields a record has up to the last that is not empty."""
    return next((at for at in range(len(record), 0, -1) if record[at - 1].strip()), 0)


def _is_name(field: str) -> bool:
    is_short = 0 < len(field) <= 40 and field.count(" ") < 3
    return is_short and not _NUMBER.fullmatch(field) and not field.endswith(_SENTENCE_END)
