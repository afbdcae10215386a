"""Reads events from the user's files: a user, an item, and optionally a rating and a time.

A table has one event per line, or one user per line with lists of items. A text file has one user's
items per line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.labels import NameReader
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Finding, Note, once
from aitk.core.io.lines import Line
from aitk.core.io.tables import Record, Table
from aitk.recsys.data.columns import (
    Columns,
    choose_columns,
    describe_columns,
    find_unused_feedback,
    find_unused_times,
)
from aitk.recsys.data.event_batches import (
    EVENTS_AT_ONCE,
    EventBatch,
    LineBatch,
    read_event_batch,
)
from aitk.recsys.data.layouts import Sequences
from aitk.recsys.data.options import LogReading
from aitk.recsys.data.sources import LogFile, find_log, open_log
from aitk.recsys.data.values import NO_TIMES, TimeReader, read_list, read_rating


def read_events(
    sources: Sequence[str],
    reading: LogReading,
    *,
    note: Note,
    findings: list[Finding] | None = None,
) -> Iterator[Row | Refusal]:
    """Stream events as rows ``{"user", "item", "rating", "time"}``, and refusals.

    Ids are strings. Rows of a log without ratings or times lack these fields; times are seconds
    since 1970. ``Row.split`` is given by the file's name.

    Args:
        sources: files, folders, ``-`` for stdin, ``tfds:NAME``.
        note: receives notes on automatic decisions, each once.
        findings: receives findings about the columns.

    Raises:
        DataError: a file is missing or not text, its columns are ambiguous, or it has no ratings
            although they are required (``RateReading``).
        UsageError: an option names a missing column or an unknown encoding.
    """
    for item in read_event_batches(sources, reading, note=note, findings=findings, batched=False):
        if not isinstance(item, EventBatch):
            yield item


def read_event_batches(
    sources: Sequence[str],
    reading: LogReading,
    *,
    note: Note,
    findings: list[Finding] | None = None,
    batched: bool = True,
) -> Iterator[EventBatch | Row | Refusal]:
    """The events of ``read_events``, many at a time where they are as plain as most are.

    Args:
        batched: False gives every event as a row.
    """
    note = once(note)
    for file in find_log(sources, note=note):
        for split, opened in open_log(file, reading):
            names = NameReader(keep_na=reading.keep_na)
            if isinstance(opened, Sequences):
                note(_describe_sequences(opened))
                cells = Cells(names, NO_TIMES)
                if batched:
                    yield from _read_sequence_batches(opened, split, cells)
                else:
                    yield from _read_sequences(opened.lines, opened, split, cells)
                for decision in names.notes(opened.lines.source):
                    note(decision)
                continue
            for decision in opened.notes:
                note(decision)
            columns = choose_columns(opened, reading)
            note(f"{opened.source}: {describe_columns(columns)}")
            cells = Cells(names, _time_reader(file, opened, columns, reading))
            times = cells.times
            if columns.lists:
                yield from _read_lists(opened, columns, split, cells)
            elif batched:
                yield from _read_table_batches(opened, columns, split, cells)
            else:
                yield from _read_table(opened, opened.source, columns, split, cells)
            for decision in names.notes(opened.source):
                note(decision)
            if told := times.note():
                note(f"{opened.source}: {told}")
            if findings is not None:
                found = (
                    times.finding(opened.source, str(columns.time)),
                    find_unused_times(opened, columns, reading),
                    find_unused_feedback(opened, columns, reading),
                )
                findings += filter(None, found)


@dataclass(frozen=True)
class Cells:
    """How to read the cells of one file."""

    names: NameReader
    times: TimeReader


def _time_reader(file: LogFile, table: Table, columns: Columns, reading: LogReading) -> TimeReader:
    """The reader of a file's times. If its first rows do not show which number is the month, the
    file is read up to a row that does."""
    column = columns.time
    if column is None:
        return NO_TIMES
    cells = (_cells_of(record.get(column), columns) for record in table.preview)
    times = TimeReader(reading.time_format, itertools.chain.from_iterable(cells))
    if times.is_ambiguous and file.name != "-":
        for _, again in open_log(file, reading):
            for item in again if isinstance(again, Table) else ():
                if times.is_ambiguous and not isinstance(item, Refusal):
                    for cell in _cells_of(item[1].get(column), columns):
                        times.look_at(cell)
    return times


def _cells_of(value: Any, columns: Columns) -> Sequence[Any]:
    return (read_list(value) or ()) if columns.lists else (value,)


def _read_table_batches(
    table: Table, columns: Columns, split: str | None, cells: Cells
) -> Iterator[EventBatch | Row | Refusal]:
    for block in table.blocks():
        batch = None
        if block.batch is not None:
            batch = read_event_batch(
                block.batch, columns, cells.names, cells.times, file=table.source, split=split
            )
        if batch is None:
            yield from _read_table(block.records, table.source, columns, split, cells)
        else:
            yield batch


def _read_table(
    records: Iterable[tuple[int, Record] | Refusal],
    file: str,
    columns: Columns,
    split: str | None,
    cells: Cells,
) -> Iterator[Row | Refusal]:
    for item in records:
        if isinstance(item, Refusal):
            yield item
            continue
        line, record = item
        fields = _event(record, columns, cells)
        yield (
            Refusal(file, line, fields)
            if isinstance(fields, str)
            else Row(fields, file, line, split)
        )


def _event(record: Mapping[str, Any], columns: Columns, cells: Cells) -> dict[str, Any] | str:
    """The fields of one event, or why the record is not an event."""
    user, problem = cells.names.read(record.get(columns.user or ""), "user")
    if problem:
        return problem
    item, problem = cells.names.read(record.get(columns.item), "item")
    if problem:
        return problem
    fields: dict[str, Any] = {"user": user, "item": item}
    if columns.rating is not None:
        fields["rating"], problem = read_rating(record.get(columns.rating))
        if problem:
            return problem
    if columns.time is not None:
        fields["time"], problem = cells.times.read(record.get(columns.time))
        if problem:
            return problem
    return fields


def _read_lists(
    table: Table, columns: Columns, split: str | None, cells: Cells
) -> Iterator[Row | Refusal]:
    """One user per record with lists of events; without a user column, each record is a user."""
    file = table.source
    for found in table:
        if isinstance(found, Refusal):
            yield found
            continue
        line, record = found
        lists = _lists(record, columns)
        if isinstance(lists, str):
            yield Refusal(file, line, lists)
            continue
        user = line if columns.user is None else record.get(columns.user)
        for place, values in enumerate(zip(*lists.values(), strict=True), 1):
            event: Record = dict(zip(lists, values, strict=True)) | {"user": user}
            rating, time = (
                ("rating" if columns.rating else None),
                ("time" if columns.time else None),
            )
            fields = _event(event, Columns("user", "item", rating, time), cells)
            if isinstance(fields, str):
                yield Refusal(file, line, f"its event {place}: {fields}")
            else:
                yield Row(fields, file, line, split)


def _lists(record: Mapping[str, Any], columns: Columns) -> dict[str, list[Any]] | str:
    """The lists of a record, all of equal length, or the fault in them."""
    lists: dict[str, list[Any]] = {}
    named = {"item": columns.item, "rating": columns.rating, "time": columns.time}
    for name, column in named.items():
        if column is None:
            continue
        values = read_list(record.get(column))
        if values is None:
            return f"its {column} is not a list"
        if len(values) != len(lists.get("item", values)):
            return f"{len(values)} {name}s for {len(lists['item'])} items"
        lists[name] = values
    return lists


_OF_LINES = Columns("user", "item", None, None)


def _read_sequence_batches(
    sequences: Sequences, split: str | None, cells: Cells
) -> Iterator[EventBatch | Row | Refusal]:
    """Lines with a name that is not read as it stands come one by one, all others together."""
    file = sequences.lines.source
    gathered = LineBatch(file, split)
    for line in sequences.lines:
        user, items = _sequence(line, sequences)
        if line.problem or not gathered.add(user, items, cells.names):
            if len(gathered):
                yield gathered.take()
            yield from _read_sequences([line], sequences, split, cells)
        elif len(gathered) >= EVENTS_AT_ONCE:
            yield gathered.take()
    if len(gathered):
        yield gathered.take()


def _read_sequences(
    lines: Iterable[Line], sequences: Sequences, split: str | None, cells: Cells
) -> Iterator[Row | Refusal]:
    file = sequences.lines.source
    for line in lines:
        if line.problem:
            yield Refusal(file, line.number, line.problem)
            continue
        user, items = _sequence(line, sequences)
        for item in items:
            fields = _event({"user": user, "item": item}, _OF_LINES, cells)
            if isinstance(fields, str):
                yield Refusal(file, line.number, fields)
            else:
                yield Row(fields, file, line.number, split)


def _sequence(line: Line, sequences: Sequences) -> tuple[str, list[str]]:
    """The user and the items of a line."""
    tokens = line.text.split()
    if tokens and (sequences.user_first or tokens[0].endswith(":")):
        return tokens[0].removesuffix(":"), tokens[1:]
    return str(line.number), tokens


def _describe_sequences(sequences: Sequences) -> str:
    who = "the first word of a line is its user" if sequences.user_first else "one user per line"
    return f"{sequences.lines.source}: items in order, separated by spaces; {who}"
