"""Reads events from the user's files: a user, an item, and optionally a rating and a time.

A table has one event per line, or one user per line with lists of items. A text file has one user's
items per line.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import TABLES
from aitk.core.contract.labels import NameReader, read_name
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Finding, Note, once
from aitk.core.io.lines import Line, Lines, open_lines
from aitk.core.io.names import split_named
from aitk.core.io.tables import Record, Table, file_suffix, find_column
from aitk.core.io.tfds_source import PREFIX, open_tfds
from aitk.recsys.data.columns import (
    HISTORY_COLUMNS,
    ITEM_COLUMNS,
    NAMES,
    RATING_LISTS,
    USER_COLUMNS,
    Columns,
    choose_columns,
    describe_columns,
    find_unused_feedback,
    find_unused_times,
    has_no_header,
    usual_key,
)
from aitk.recsys.data.event_batches import (
    EVENTS_AT_ONCE,
    EventBatch,
    LineBatch,
    read_event_batch,
)
from aitk.recsys.data.layouts import Sequences, open_layout, plain_name
from aitk.recsys.data.options import LogReading, RateReading
from aitk.recsys.data.sources import LogFile, find_log
from aitk.recsys.data.tables import HISTORY_TABLE, ITEM_TABLE, read_table
from aitk.recsys.data.times import NO_TIMES, TimeReader
from aitk.recsys.data.values import read_list, read_rating


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
        for split, opened in _open_log(file, reading):
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


def read_queries(
    sources: Sequence[str], reading: LogReading, *, note: Note
) -> Iterator[Row | Refusal]:
    """Stream queries: rows with some of ``user``, ``history`` and ``item``.

    A ``history`` is a list of ids, oldest first, optionally with ``ratings`` of the same length. A
    text file has one user per line, or the items of a history. A prepared log stands for all its
    users. ``Row.record`` is the original record.

    Args:
        sources: files, folders, ``-`` for stdin.
        note: receives notes on automatic decisions, each once.

    Raises:
        DataError: a file is missing or not text, or has none of the columns.
        UsageError: an option names an unknown encoding.
    """
    note = once(note)
    for source in sources:
        if os.path.isfile(Path(source, "dataset.json")):
            yield from _read_stored_users(source)
            continue
        for file in find_log([source], note=note):
            yield from _read_query_file(file, reading, note)


def _read_query_file(file: LogFile, reading: LogReading, note: Note) -> Iterator[Row | Refusal]:
    if file_suffix(file.name) == ".txt":
        yield from _read_users(open_lines(file.name, encoding=reading.encoding), reading)
        return
    for _, opened in _open_log(file, reading):
        if isinstance(opened, Sequences):
            yield from _read_users(opened.lines, reading)
            continue
        for decision in opened.notes:
            note(decision)
        yield from _read_questions(opened, reading)


def _open_log(file: LogFile, reading: LogReading) -> Iterator[tuple[str | None, Table | Sequences]]:
    """The tables of a source with their splits, or its lines if it has no columns."""
    if file.name.startswith(PREFIX):
        for name, table in open_tfds(file.name):
            yield split_named(name), table
        return
    told = (reading.user_column, reading.item_column, reading.rating_column, reading.time_column)
    yield (
        file.split,
        open_layout(
            file.name,
            header=reading.header,
            delimiter=reading.delimiter,
            encoding=reading.encoding,
            decimal=reading.decimal,
            names=NAMES | {name.casefold() for name in told if name},
        ),
    )


def _time_reader(file: LogFile, table: Table, columns: Columns, reading: LogReading) -> TimeReader:
    """The reader of a file's times. If its first rows do not show which number is the month, the
    file is read up to a row that does."""
    column = columns.time
    if column is None:
        return NO_TIMES
    cells = (_cells_of(record.get(column), columns) for record in table.preview)
    times = TimeReader(reading.time_format, itertools.chain.from_iterable(cells))
    if times.is_ambiguous and file.name != "-":
        for _, again in _open_log(file, reading):
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


def _read_questions(table: Table, reading: LogReading) -> Iterator[Row | Refusal]:
    file, keys = table.source, _question_keys(table, reading)
    for found in table:
        if isinstance(found, Refusal):
            yield found
            continue
        line, record = found
        fields = _question(record, keys, keep_na=reading.keep_na)
        if isinstance(fields, dict) and isinstance(reading, RateReading) and "item" not in fields:
            fields = "it has no item to rate"
        if isinstance(fields, str):
            yield Refusal(file, line, fields)
        else:
            yield Row(fields, file, line, record=record)


def _question_keys(table: Table, reading: LogReading) -> dict[str, str]:
    """The role of each column by usual name or position; the columns of training may be absent."""
    plain = [plain_name(column) for column in table.columns]
    told = {
        "user": reading.user_column if reading.user_column in plain else None,
        "item": reading.item_column if reading.item_column in plain else None,
    }
    if has_no_header(table) and len(table.columns) <= 2:
        return dict(zip(("user", "item"), table.columns, strict=False))
    keys = {
        "user": usual_key(table, told["user"], USER_COLUMNS, what="user"),
        "item": usual_key(table, told["item"], ITEM_COLUMNS, what="item"),
        "history": usual_key(table, None, HISTORY_COLUMNS, what="history"),
        "ratings": usual_key(table, None, RATING_LISTS, what="rating"),
    }
    found = {name: key for name, key in keys.items() if key is not None}
    if not found.keys() - {"ratings"}:
        find_column(plain, None, USER_COLUMNS, what="user", where=table.source)
    return found


def _question(
    record: Mapping[str, Any], keys: Mapping[str, str], *, keep_na: bool
) -> dict[str, Any] | str:
    """The user, history and item of a record, or the fault in it."""
    fields: dict[str, Any] = {}
    for name in ("user", "item"):
        value = record.get(keys.get(name, ""))
        if value is not None and value != "":
            fields[name], problem = read_name(value, name, keep_na=keep_na)
            if problem:
                return problem
    told = record.get(keys.get("history", ""))
    if told is not None and told != "":
        items = read_list(told)
        if items is None:
            return f"its history is a {type(told).__name__}, not a list"
        read = [read_name(item, "item", keep_na=keep_na) for item in items]
        problem = next((problem for _, problem in read if problem), None)
        if problem:
            return f"its history: {problem}"
        fields["history"] = [item for item, _ in read]
        ratings = read_list(record.get(keys.get("ratings", "")))
        if ratings:
            rated = [read_rating(rating) for rating in ratings]
            problem = next((problem for _, problem in rated if problem), None)
            if problem or len(rated) != len(items):
                return problem or f"{len(rated)} ratings for {len(items)} items of its history"
            fields["ratings"] = [rating for rating, _ in rated]
    return fields or "it has no user, history or item"


def _read_users(lines: Lines, reading: LogReading) -> Iterator[Row | Refusal]:
    """One user per line, or for lines with several words, the items of a history."""
    for number, text, problem in lines:
        words = text.split()
        if not words and not problem:
            continue
        if isinstance(reading, RateReading):
            problem = problem or "it has no item to rate"
        what = "user" if len(words) == 1 else "item"
        read = [read_name(word, what, keep_na=reading.keep_na) for word in words]
        problem = problem or next((flaw for _, flaw in read if flaw), None)
        if problem:
            yield Refusal(lines.source, number, problem)
            continue
        ids = [word for word, _ in read]
        fields = {"user": ids[0]} if len(ids) == 1 else {"history": ids}
        record = {name: text.strip() for name in fields}
        yield Row(fields, lines.source, number, record=record)


def _read_stored_users(folder: str) -> Iterator[Row]:
    """Every user of a prepared log, with the full history."""
    histories, _ = read_table(Path(folder, TABLES, HISTORY_TABLE))
    items = read_table(Path(folder, TABLES, ITEM_TABLE))[0].column("item").to_pylist()
    for batch in histories.to_batches(max_chunksize=1024):
        for number, row in enumerate(batch.to_pylist(), 1):
            history = [items[item] for item in row["items"]]
            fields = {"user": row["user"], "history": history, "ratings": row["ratings"]}
            yield Row(fields, folder, number, record={"user": row["user"]})
