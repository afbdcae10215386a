"""Parsing of log values: ratings, times, lists; or the reason why a value is invalid."""

from __future__ import annotations

import re
from typing import Any

from aitk.core.io.values import parse_json, quoted, to_number, to_time

#: Ratings are stored as 32-bit floats.
LARGEST_RATING = 3e38
_LIST_ITEM = re.compile(r"""'([^']*)'|"([^"]*)"|([^\s,]+)""")


def read_rating(value: Any) -> tuple[float, str | None]:
    """The rating in a value, or why it is invalid."""
    if value is None or value == "":
        return 0.0, "it has no rating"
    try:
        rating = to_number(value)
    except ValueError as error:
        return 0.0, f"its rating is {quoted(value)}, which {error}"
    if abs(rating) >= LARGEST_RATING:
        return 0.0, f"its rating is {quoted(value)}"
    return rating, None


def read_time(value: Any) -> tuple[float, str | None]:
    """The seconds since 1970 given by a value (see ``to_time``), or why it is invalid."""
    if value is None or value == "":
        return 0.0, "it has no time"
    try:
        return to_time(value), None
    except ValueError as error:
        return 0.0, f"its time is {quoted(value)}, which {error}"


def read_list(value: Any) -> list[Any] | None:
    """The list in a value, or None.

    The value is a list, JSON, a list as written by Python or NumPy (``['a', 'b']``, ``[1 2]``), or
    values separated by bars, semicolons, commas or spaces.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    if text.startswith("["):
        try:
            parsed = parse_json(text)
        except ValueError:
            parsed = None
        if isinstance(parsed, list):
            return parsed
        if text.endswith("]"):
            found = _LIST_ITEM.findall(text[1:-1])
            return [single or double or plain for single, double, plain in found]
    for delimiter in "|;,":
        parts = [part.strip() for part in text.split(delimiter)]
        # A space next to words with commas is the separator: "Doe,J Roe,R".
        if len(parts) > 1 and (
            delimiter != "," or not any(len(part.split()) > 1 for part in parts)
        ):
            return [part for part in parts if part]
    return text.split()
