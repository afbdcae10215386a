"""Texts from a file. Part of the scripts of bundles; standard library only."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def read_rows(
    name: str, settings: Mapping[str, Any]
) -> Iterator[tuple[int, Mapping[str, Any], Any]]:
    """Line, record and fields of each row of a .jsonl, .csv or .tsv file, or of a text file with
    one text per line."""
    path = Path(name)
    kind = path.suffix.lower()
    with path.open(encoding="utf-8-sig", newline="") as file:
        if kind in (".csv", ".tsv"):
            table = csv.DictReader(file, delimiter="\t" if kind == ".tsv" else ",")
            for record in table:
                yield table.line_num, record, _fields(record, settings)
            return
        for line, text in enumerate(file, 1):
            if kind in (".jsonl", ".ndjson"):
                if text.strip():
                    record = json.loads(text)
                    yield line, record, _fields(record, settings)
                continue
            record = {"text": text.rstrip("\r\n")}
            yield line, record, _fields(record, settings)


def _fields(record: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """The cleaned text of a record, and its second text for models of pairs."""
    names = {str(name).casefold(): name for name in record}
    usual = next((names[name] for name in settings["text_columns"] if name in names), None)
    columns = {"text": usual if usual is not None or len(record) > 1 else next(iter(record))}
    if settings["pair_column"]:
        columns["pair"] = settings["pair_column"]
    fields = {}
    for name, column in columns.items():
        value = record.get(column) if column is not None else None
        if not isinstance(value, str | int | float):
            return "it has no text"
        fields[name] = clean(str(value), settings)
        if not fields[name]:
            return "its text is empty"
    return fields


def clean(text: str, settings: Mapping[str, Any]) -> str:
    """The text in the form used in training."""
    if settings["unicode_form"] != "none":
        text = unicodedata.normalize(settings["unicode_form"], text)
    if settings["lowercase_texts"]:
        text = text.lower()
    return text.strip()
