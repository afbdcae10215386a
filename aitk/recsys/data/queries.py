"""Reads queries from the user's files: users, histories and items to predict for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.artifacts.data import TABLES
from aitk.core.contract.labels import read_name
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note, once
from aitk.core.io.lines import Lines, open_lines
from aitk.core.io.tables import Table, file_suffix, find_column
from aitk.recsys.data.columns import (
    HISTORY_COLUMNS,
    ITEM_COLUMNS,
    RATING_LISTS,
    USER_COLUMNS,
    has_no_header,
    usual_key,
)
from aitk.recsys.data.layouts import Sequences, plain_name
from aitk.recsys.data.options import LogReading, RateReading
from aitk.recsys.data.sources import LogFile, find_log, open_log
from aitk.recsys.data.tables import HISTORY_TABLE, ITEM_TABLE, read_table
from aitk.recsys.data.values import read_list, read_rating


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
    for _, opened in open_log(file, reading):
        if isinstance(opened, Sequences):
            yield from _read_users(opened.lines, reading)
            continue
        for decision in opened.notes:
            note(decision)
        yield from _read_questions(opened, reading)


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
