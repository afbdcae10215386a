"""Who is asking for recommendations, from a file. Part of the scripts of bundles; NumPy alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def read_rows(
    name: str, settings: Mapping[str, Any]
) -> Iterator[tuple[int, Mapping[str, Any], Any]]:
    """Line, record and fields of each row: ``user``, ``history`` (a list of items, the latest last)
    or ``item``, in a .jsonl or .csv file; of a text file each line is a user."""
    path = Path(name)
    kind = path.suffix.lower()
    with path.open(encoding="utf-8-sig", newline="") as file:
        if kind in (".csv", ".tsv"):
            table = csv.DictReader(file, delimiter="\t" if kind == ".tsv" else ",")
            for record in table:
                yield table.line_num, record, _fields(record, settings)
            return
        for line, text in enumerate(file, 1):
            if text.strip():
                record = json.loads(text) if kind != ".txt" else {"user": text.strip()}
                yield line, record, _fields(record, settings)


def _fields(record: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    names = {str(name).casefold(): name for name in record}
    fields: dict[str, Any] = {}
    for name, usual in settings["columns"].items():
        column = next((names[each] for each in usual if each in names), None)
        value = record.get(column) if column is not None else None
        if value not in (None, "", []):
            fields[name] = value
    if "history" in fields and isinstance(fields["history"], str):
        return "its history is no list"
    for name in ("user", "item"):
        if name in fields:
            fields[name] = str(fields[name])
    if "history" in fields:
        fields["history"] = [str(item) for item in fields["history"]]
    return fields or "it has no user, history or item"


def known_history(
    fields: Mapping[str, Any], settings: Mapping[str, Any], tables: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The numbers of the items that are known of who asks, the latest last."""
    if "history" not in fields and "user" in fields:
        number = numbers_of(settings, "histories").get(fields["user"])
        if number is None:
            return np.zeros(0, np.int32)
        start, end = tables["starts"][number : number + 2]
        return tables["events"][start:end]
    items = numbers_of(settings, "items")
    history = fields.get("history", [fields.get("item", "")])
    return np.array([items[item] for item in history if item in items], np.int32)


def numbers_of(settings: Mapping[str, Any], name: str) -> dict[str, int]:
    """Id -> number from 0, of the ids under a name; made once."""
    key = f"{name} by id"
    if key not in settings:
        settings[key] = {each: number for number, each in enumerate(settings[name])}  # type: ignore[index]
    return settings[key]
