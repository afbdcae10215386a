"""Streaming of the records in a JSON file, in any container.

Supported: a list of records, a list under a key of an object (SQuAD's ``data``), or consecutive
objects (including JSON lines). A file may be a single line of gigabytes: only one record is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aitk.core.contract.rows import Refusal
from aitk.core.io.lines import Lines
from aitk.core.io.values import parse_json

MAX_RECORD_CHARACTERS = 50_000_000
_STRUCTURE = re.compile(r'["\[\]{},]')
_IN_STRING = re.compile(r'["\\]')


def read_items(lines: Lines, *, key: str | None = None) -> Iterator[tuple[int, Any] | Refusal]:
    """Stream ``(line, value)`` of each record; invalid JSON becomes a ``Refusal``.

    Args:
        lines: the opened file.
        key: key of the list of records, if the file is a single object with it.
    """
    if _is_json_lines(lines, key):  # an invalid record ends with its line
        for number, text, problem in lines:
            if problem:
                yield Refusal(lines.source, number, problem)
            elif text.strip():
                yield _parsed(lines.source, number, text)
        return
    scanner = _Scanner(key)
    for chunk in lines.chunks():
        for line, text in scanner.feed(chunk):
            yield _parsed(lines.source, line, text)
    for line, rest in scanner.finish():
        yield _parsed(lines.source, line, rest)


def _is_json_lines(lines: Lines, key: str | None) -> bool:
    """Whether the first line is an object, but not the one that contains all records."""
    try:
        first = parse_json(lines.head[0]) if lines.head else None
    except ValueError:
        return False
    return isinstance(first, dict) and not isinstance(first.get(key), list)


def _parsed(source: str, line: int, text: str | None) -> tuple[int, Any] | Refusal:
    if text is None:
        return Refusal(source, line, "the JSON is truncated: the file ends inside this record")
    if len(text) > MAX_RECORD_CHARACTERS:
        most = f"{MAX_RECORD_CHARACTERS:,}"
        return Refusal(source, line, f"the record is longer than {most} characters")
    try:
        return line, parse_json(text)
    except ValueError as error:
        return Refusal(source, line, f"it is not JSON ({getattr(error, 'msg', None) or error})")


class _Scanner:
    """Splits a text stream into records by counting brackets outside strings."""

    def __init__(self, key: str | None):
        self._key = key
        self._base: int | None = None  # bracket depth of the records
        self._depth = 0
        self._in_string = self._escaped = self._done = False
        self._line = self._start = 1
        self._pieces: list[str] = []
        self._size = 0
        self._string: list[str] = []  # the last string at key depth

    def feed(self, text: str) -> Iterator[tuple[int, str]]:
        """The records that end in this chunk of the file, each with its line."""
        at = kept = 0
        if self._escaped:
            at, self._escaped = 1, False
        while at < len(text):
            if self._in_string:
                at = self._skip_string(text, at)
                continue
            found = _STRUCTURE.search(text, at)
            if found is None:
                break
            at, mark = found.end(), found[0]
            if mark == '"':
                self._in_string, self._string = True, []
            elif mark in "[{":
                kept = self._open(text, mark, kept, at)
            elif mark in "]}":
                self._depth -= 1
                if self._base and self._depth == self._base - 1:
                    yield from self._end(text[kept : at - 1])
                    self._done = self._base > 1
                    self._base, kept = (None, at) if self._base == 1 else (self._base, at)
                elif self._base == 0 and self._depth == 0:
                    yield from self._end(text[kept:at])
                    kept = at
            elif self._depth == self._base:
                yield from self._end(text[kept : at - 1])
                kept = at
                if not self._base:
                    self._pieces.append(",")  # a comma between objects is invalid JSON
        self._keep(text[kept:])

    def finish(self) -> Iterator[tuple[int, str | None]]:
        """The rest at the end of the file: an invalid or truncated record."""
        left = "".join(self._pieces).strip()
        if self._depth or self._in_string:
            yield (self._start if left else self._line), None
        elif left and not self._done:
            yield self._start, left

    def _skip_string(self, text: str, at: int) -> int:
        found = _IN_STRING.search(text, at)
        end = found.start() if found else len(text)
        if self._key is not None and self._depth == 1:
            self._string.append(text[at:end])
        if found is None:
            return end
        if found[0] == '"':
            self._in_string = False
            return found.end()
        self._escaped = found.end() == len(text)
        return found.end() + 1

    def _open(self, text: str, mark: str, kept: int, at: int) -> int:
        """Count an opening bracket; return the offset from which text belongs to a record."""
        if self._base is None and self._depth == 0:
            self._base = 1 if mark == "[" else 0
            if mark == "[":
                self._count(text[kept:at])
                kept = at
        elif (
            self._base == 0
            and self._depth == 1
            and mark == "["
            and self._key is not None
            and "".join(self._string) == self._key
        ):
            self._base = 2
            self._pieces, self._size = [], 0
            self._count(text[kept:at])
            kept = at
        self._depth += 1
        return kept

    def _end(self, text: str) -> Iterator[tuple[int, str]]:
        self._keep(text)
        record = "".join(self._pieces).strip()
        self._pieces, self._size = [], 0
        if record and not self._done:
            yield self._start, record

    def _keep(self, text: str) -> None:
        """Store a piece of a record, and count its lines."""
        if not any(map(str.strip, self._pieces)):
            bare = text.lstrip()
            self._start = self._line + text.count("\n", 0, len(text) - len(bare))
        self._count(text)
        if self._size <= MAX_RECORD_CHARACTERS and not self._done:
            self._pieces.append(text)
            self._size += len(text)

    def _count(self, text: str) -> None:
        self._line += text.count("\n")
