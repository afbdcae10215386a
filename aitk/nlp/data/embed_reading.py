"""Rows to embed: plain texts, pairs, triplets, scored pairs, and word analogies.

A file whose first line is ``: SECTION`` holds analogies as word2vec's ``questions-words.txt``:
four words a line, "Athens Greece Baghdad Iraq". They serve evaluation only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Finding, Grade, Note, once
from aitk.core.io import encodings
from aitk.core.io.lines import Lines, open_lines
from aitk.core.io.tables import Table, find_column, looks_like_json, open_table
from aitk.core.io.values import to_number
from aitk.core.privacy.redaction import redactor_of, with_counts
from aitk.nlp.data.cleaning import make_cleaner
from aitk.nlp.data.columns import TEXT_COLUMNS
from aitk.nlp.data.options import PAIRS, SCORED, TEXTS, TRIPLETS, EmbedReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts
from aitk.nlp.data.sources import find_sources

ANALOGY_WORDS = 4
_HEADER = {"auto": None, "yes": True, "no": False}


def read_rows(
    sources: Sequence[str], reading: EmbedReading, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    """Stream rows; refusals in place of refused records.

    Rows hold ``text``; pairs also ``pair``, triplets ``negative`` as well, scored pairs ``pair``
    and ``score``; analogies ``analogy`` (four words) and ``section``.

    Args:
        labelled: rows must be complete. Otherwise a row needs only its text, and ``Row.record``
            carries the original record.

    Raises:
        DataError: a file is missing or is not text, or its columns cannot be identified.
        UsageError: an option names a column, language or encoding that does not exist.
    """
    encodings.check(reading.encoding)
    note = once(note)
    for source in sources:
        if labelled and (lines := _analogies(source, reading)) is not None:
            note(f"{source}: word analogies")
            yield from _read_analogies(lines)
        elif reading.form == TEXTS:
            yield from read_texts([source], reading, labelled=False, label=False, note=note)
        else:
            yield from _read_tables(source, reading, labelled=labelled, note=note)


class EmbedInspector(TextInspector):
    """Inspects the texts of rows, a pair counting as one text, and their scores."""

    def __init__(self, reading: EmbedReading):
        super().__init__(reading, labelled=False)
        self._form = reading.form
        self._low, self._high = math.inf, -math.inf
        self._scored = self._same = self._rows = 0

    def add(self, row: Row, split: str) -> None:
        fields = row.fields
        sides = [fields[name] for name in ("text", "pair", "negative") if name in fields]
        super().add(Row({"text": "\n".join(sides)}, row.file, row.line, row.split), split)
        self._rows += 1
        self._same += len(sides) > 1 and sides[0] == sides[-1] and "score" not in fields
        if "score" in fields and split == "train":
            self._low = min(self._low, fields["score"])
            self._high = max(self._high, fields["score"])

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "range": (self._low, self._high),
            "same": self._same,
            "rows": self._rows,
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        super().merge(state)
        low, high = state["range"]
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._same += state["same"]
        self._rows += state["rows"]

    def findings(self) -> list[Finding]:
        found = super().findings()
        if self._form in (PAIRS, TRIPLETS):
            grade: Grade = "warning" if self._same else "ok"
            message = f"{self._same} of {self._rows} rows hold the same text twice"
            found.append(Finding("equal texts", grade, message, {"rows": self._same}))
        if self._form == SCORED:
            spread: Grade = "ok" if self._low < self._high else "error"
            message = f"scores from {self._low:g} to {self._high:g}"
            found.append(Finding("scores", spread, message))
        return found

    def summary(self) -> dict[str, Any]:
        summary = super().summary() | {"form": self._form}
        if self._low <= self._high:
            summary["scores"] = [self._low, self._high]
        return summary


def _analogies(source: str, reading: EmbedReading) -> Lines | None:
    """The opened file if it holds analogies."""
    if source == "-" or not source.endswith(".txt"):
        return None
    try:
        lines = open_lines(source, encoding=reading.encoding)
    except DataError:
        return None  # a folder, or missing: reported when it is read
    return lines if next(iter(lines.head), "").startswith(": ") else None


def _read_analogies(lines: Lines) -> Iterator[Row | Refusal]:
    section = ""
    for number, text, problem in lines:
        words = text.split()
        if problem:
            yield Refusal(lines.source, number, problem)
        elif text.startswith(":"):
            section = text[1:].strip()
        elif len(words) == ANALOGY_WORDS:
            fields = {"text": text.strip(), "analogy": words, "section": section}
            yield Row(fields, lines.source, number)
        elif words:
            reason = f"an analogy must have {ANALOGY_WORDS} words, not {len(words)}"
            yield Refusal(lines.source, number, reason)


def _read_tables(
    source: str, reading: EmbedReading, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    redactor = redactor_of(reading)
    clean = make_cleaner(reading, redactor)
    yield from with_counts(_read(source, reading, clean, labelled=labelled, note=note), redactor)


def _read(
    source: str,
    reading: EmbedReading,
    clean: Callable[[str], str],
    *,
    labelled: bool,
    note: Note,
) -> Iterator[Row | Refusal]:
    for found in find_sources([source], labelled=False, label=True, note=note):
        given = reading.delimiter
        opened: str | Lines = found.name
        if found.kind == "lines":
            opened = open_lines(found.name, encoding=reading.encoding)
            if not labelled and not _has_columns(opened):
                note(f"{found.name}: one text per line, encoding {opened.encoding}")
                yield from _read_lines(opened, clean)
                continue
        table = open_table(
            opened,
            header=_HEADER[reading.header],
            delimiter="\t" if given and given.lower() in ("tab", r"\t") else given,
            encoding=reading.encoding,
            names=frozenset(TEXT_COLUMNS),
        )
        for decision in table.notes:
            note(decision)
        columns = _columns(table, reading, labelled=labelled)
        note(f"{table.source}: " + ", ".join(f"{name} in {at!r}" for name, at in columns.items()))
        yield from _read_records(table, columns, clean, split=found.split, labelled=labelled)


def _has_columns(lines: Lines) -> bool:
    """Whether a file of unknown extension is a table: JSON, or a TAB in every line."""
    head = [line for line in lines.head if line.strip()]
    return looks_like_json(lines) or (bool(head) and all("\t" in line for line in head))


def _read_lines(lines: Lines, clean: Callable[[str], str]) -> Iterator[Row | Refusal]:
    for number, raw, problem in lines:
        raw = raw.rstrip("\r\n")
        if not (raw.strip() or problem):
            continue
        text, problem = ("", problem) if problem else _text(raw, clean, "text")
        if problem:
            yield Refusal(lines.source, number, problem)
        else:
            yield Row({"text": text}, lines.source, number, None, {"text": raw})


def _columns(table: Table, reading: EmbedReading, *, labelled: bool) -> dict[str, str]:
    """Field -> column, for the fields in this file."""
    given = {
        "pair": reading.pair_column,
        "negative": reading.negative_column,
        "score": reading.score_column,
    }
    if len(reading.text_column or ()) > 1:
        raise UsageError("each text of a pair must be a single column", where="--text-column")
    if given["pair"] is None:
        raise UsageError("the column of the second text is ambiguous", where="--pair-column")
    if given["score"] is not None and given["negative"] is not None:
        raise UsageError("a row cannot have both a score and a negative", where="--score-column")
    columns = {
        "text": find_column(
            table.columns, (reading.text_column or (None,))[0], TEXT_COLUMNS, what="text",
            where=table.source,
        )
    }  # fmt: skip
    for name, column in given.items():
        if column is None:
            continue
        try:
            columns[name] = find_column(table.columns, column, (), what=name, where=table.source)
        except UsageError:
            if labelled:
                raise
    if len(set(columns.values())) < len(columns):
        twice = next(name for name in columns if list(columns.values()).count(columns[name]) > 1)
        raise UsageError(f"column {columns[twice]!r} is used twice", where=table.source)
    return columns


def _read_records(
    table: Table,
    columns: Mapping[str, str],
    clean: Callable[[str], str],
    *,
    split: str | None,
    labelled: bool,
) -> Iterator[Row | Refusal]:
    for item in table:
        if isinstance(item, Refusal):
            yield item
            continue
        line, record = item
        fields: dict[str, Any] = {}
        problem = None
        for name, column in columns.items():
            value = record.get(column)
            if name == "score":
                fields[name], problem = _score(value)
            else:
                fields[name], problem = _text(value, clean, name)
            if problem and not labelled and name != "text":
                fields.pop(name)
                problem = None
            if problem:
                break
        if problem:
            yield Refusal(table.source, line, problem)
        else:
            yield Row(fields, table.source, line, split, {} if labelled else record)


def _text(value: Any, clean: Callable[[str], str], name: str) -> tuple[str, str | None]:
    """The cleaned text of a value, or the reason why there is none."""
    which = {"text": "its text", "pair": "its second text", "negative": "its negative"}[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return "", f"{which} is missing" if value is None else f"{which} is not a string"
    if "\0" in value:
        return "", "it contains a NUL byte"
    text = clean(value)
    return (text, None) if text else ("", f"{which} is empty")


def _score(value: Any) -> tuple[float, str | None]:
    """A finite number, or the reason why there is none."""
    if isinstance(value, str) and value.strip():
        try:
            value = to_number(value)
        except ValueError:
            return 0.0, f"its score {value[:50]!r} is not a number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0, "it has no score"
    return (float(value), None) if math.isfinite(value) else (0.0, "its score is not finite")
