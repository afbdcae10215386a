"""Numbers, facts and tables for display, with one rule of rounding."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.reporting.numbers import decimals, format_number

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table, its values as text."""

    title: str
    cells: list[str]
    numeric: bool


def columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of a table.

    The numbers of a column have equally many decimals; of metrics, which have scales of their own,
    those of a row.
    """
    if "metric" in rows[0]:
        places = [_places(row.values()) for row in rows]
        return [_column(name, [row.get(name) for row in rows], places) for name in rows[0]]
    found = []
    for name in rows[0]:
        values = [row.get(name) for row in rows]
        places = [1 if _is_coarse(name) else _places(values)] * len(rows)
        found.append(_column(name, values, places))
    return found


def _places(values: Iterable[Any]) -> int:
    """The decimals of numbers that are read together."""
    floats = [abs(value) for value in values if isinstance(value, float) and math.isfinite(value)]
    return decimals(max(floats, default=0.0))


def _column(name: str, values: Sequence[Any], places: Sequence[int]) -> Column:
    numeric = all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        for value in values
    )
    cells = [cell(value, count) for value, count in zip(values, places, strict=True)]
    return Column(name.replace("_", " "), cells, numeric)


def _is_coarse(name: str) -> bool:
    """Whether a number is a time, a rate or a ratio, for which one decimal is enough."""
    return name == "seconds" or name.endswith(("_s", "_per_second")) or name.startswith("times_")


def cell(value: Any, places: int | None = None) -> str:
    """A value in a few characters, on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format_number(value, places)
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return " ".join(str(value).split())


def fact(name: str, value: Any) -> str:
    """A single value, rounded like its kind in tables."""
    return cell(value, 1 if _is_coarse(name) else None)


def result_lines(facts: Row, table: Sequence[Row]) -> Iterator[str]:
    """A result as plain lines: its facts, then its table in columns, numbers right-aligned."""
    for name, value in facts.items():
        yield f"{name.replace('_', ' ')}: {fact(name, value)}"
    if not table:
        return
    found = columns(table)
    widths = [max(map(width, [column.title, *column.cells])) for column in found]
    titles = [column.title for column in found]
    for line in (titles, *zip(*(column.cells for column in found), strict=True)):
        padded = [
            " " * (space - width(text)) + text
            if column.numeric
            else text + " " * (space - width(text))
            for text, space, column in zip(line, widths, found, strict=True)
        ]
        yield "  ".join(padded).rstrip()


def width(text: str) -> int:
    """Width in terminal columns: East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def clock(seconds: float) -> str:
    """A duration: 1:05, 2:00:00."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
