"""Records of comma- or TAB-separated text: RFC 4180, and the looser files people have.

Two readings of a quotation mark compete. In CSV a field that begins with one is quoted and
may hold delimiters and line ends. TAB-separated corpora mostly write quotation marks as they
are, so there a line that has the right number of fields is taken as it stands.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from aitk.core.lines import MAX_LINE_BYTES, Line

#: In the order of preference where a file's lines fit several.
DELIMITERS = ("\t", ",", ";", "|")


class Record(NamedTuple):
    """The fields of one record, or the problem that makes it unusable."""

    line: int
    fields: list[str]
    problem: str | None


class _Malformed(Exception):
    """The quotation marks of a record do not pair."""


def split_records(lines: Iterable[Line], delimiter: str, width: int | None) -> Iterator[Record]:
    """Cut lines into records of ``width`` fields (any number if None). Blank lines are skipped.

    After a record whose quotes do not pair, reading goes on with the very next line.
    """
    source = iter(lines)
    waiting: deque[Line] = deque()

    def pull() -> Line | None:
        return waiting.popleft() if waiting else next(source, None)

    while (line := pull()) is not None:
        number, text, problem = line
        body = text.rstrip("\r\n")
        if not body and problem is None:
            continue
        if '"' not in body:
            fields = body.split(delimiter)
        else:
            fields, pulled, flaw = _split_quoted(line, pull, delimiter, width)
            if flaw or not fields:
                waiting.extendleft(reversed(pulled))
                problem = problem or flaw
            else:
                problem = problem or next((each.problem for each in pulled if each.problem), None)
        if problem is None and width is not None and len(fields) != width:
            problem = f"{_count(len(fields))} where {_count(width)} expected"
        yield Record(number, fields, problem)


def sniff_delimiter(head: Sequence[str], candidates: Sequence[str] = DELIMITERS) -> str | None:
    """The delimiter that cuts most records into as many fields as the first, at least two."""
    best, best_share = None, 0.5
    for delimiter in candidates:
        widths = [len(record.fields) for record in split_records(_as_lines(head), delimiter, None)]
        if not widths or widths[0] < 2:
            continue
        share = round(widths.count(widths[0]) / len(widths), 2)
        if share > best_share:
            best, best_share = delimiter, share
    return best


def sniff_records(head: Sequence[str], delimiter: str) -> list[list[str]]:
    """The records at the beginning of a file that have as many fields as most of them."""
    lines = _as_lines(head)
    widths = Counter(line.text.count(delimiter) for line in lines)
    first = [record for record in split_records(lines, delimiter, None) if not record.problem]
    del widths
    return [record.fields for record in first]


def has_header(records: Sequence[Sequence[str]], names: Iterable[str] = ()) -> bool:
    """Whether the first record names the columns.

    It does if it holds one of the ``names`` that columns usually have. It does not if one of
    its fields is empty of letters, is repeated below in the same column (as labels are), or
    reads like a sentence; otherwise it is taken to.
    """
