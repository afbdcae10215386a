"""Conversion of the user's file contents to Python values: JSON, numbers and times.

Untrusted files have numbers of 400 digits, infinities, invalid dates, and lists nested a thousand
deep. All readers convert with these functions, which refuse such values uniformly, and all JSON
writers use ``dump_json``.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aitk.core.io.names import printable

if TYPE_CHECKING:
    import numpy as np

#: Maximum nesting of lists and objects. Python's own limit depends on the call stack.
MAX_DEPTH = 100
MAX_NUMBER_CHARACTERS = 1000
#: Digits that fit into 64 bits; Python refuses to parse thousands of digits.
_MAX_DIGITS = 18
#: Minimum sizes at which seconds since 1970 must be milliseconds, microseconds, nanoseconds.
_TIME_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_LATEST_TIME_S = 1e11

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKET = re.compile(r"[^][{}]+")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
#: Minimum size of a number that overflows.
_LARGE = re.compile(r"\d{300}|[eE]\+?\d{3}")


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON text.

    Numbers that JSON or floats cannot represent (NaN, Infinity, 1e400) become None.

    Raises:
        ValueError: it is not JSON, not Unicode, or nested deeper than ``MAX_DEPTH``.
    """
    if isinstance(content, bytes):
        content = content.decode(json.detect_encoding(content))
    decoder = _FINITE_JSON if _LARGE.search(content) else _JSON
    try:
        value = decoder.decode(content)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if _is_deep(content):
        raise ValueError(_TOO_DEEP)
    if _SURROGATE.search(content) and not _is_text(json.dumps(value, ensure_ascii=False)):
        raise ValueError("has an unpaired surrogate, which is not a character")
    return value


def dump_json(
    value: Any,
    *,
    indent: int | None = None,
    sort_keys: bool = False,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """JSON text that any parser accepts: no NaN or infinity (both null), no unpaired surrogates."""

    encode = _encoder(indent, sort_keys, default)
    try:
        text = encode(value)
    except ValueError:
        text = encode(_finite(value))
    return printable(text, backslash="\\\\")


@functools.lru_cache
def _encoder(
    indent: int | None, sort_keys: bool, default: Callable[[Any], Any] | None
) -> Callable[[Any], str]:
    """Made once for each kind: ``json.dumps`` makes one for each value."""
    return json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, indent=indent, sort_keys=sort_keys, default=default
    ).encode


def plain_value(value: Any) -> Any:
    """JSON for a value of a typed column."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float | decimal.Decimal) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): plain_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def to_number(value: Any) -> float:
    """The number in a cell.

    Raises:
        ValueError: it is not a number, or NaN, infinite, or out of the range of floats.
    """
    if isinstance(value, str) and (len(value) > MAX_NUMBER_CHARACTERS or "_" in value):
        raise ValueError("is not a number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("is not a number") from error
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def to_count(text: str) -> int | None:
    """The whole number in a text; None for other text, and for more digits than fit into
    64 bits."""
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def to_time(value: Any) -> float:
    """The seconds since 1970 given by a cell.

    Numbers are seconds; large ones milliseconds, microseconds or nanoseconds. Dates are ISO 8601,
    also with slashes, in UTC without a time zone.

    Raises:
        ValueError: it is not a time, or one before 1970.
    """
    try:
        time_s = to_number(value)
    except ValueError:
        time_s = _date_s(str(value))
    if time_s < 0:
        raise ValueError("is before 1970")
    if time_s >= _LATEST_TIME_S:
        time_s /= next(unit for start, unit in _TIME_UNITS if time_s >= start)
        if time_s >= _LATEST_TIME_S:
            raise ValueError("is not a date")
    return time_s


def to_times(numbers: np.ndarray) -> np.ndarray | None:
    """As ``to_time`` of every number of a float64 array; None where it has no time for one."""
    if not len(numbers):
        return numbers
    if numbers.min() < 0:
        return None
    if numbers.max() < _LATEST_TIME_S:
        return numbers
    seconds = numbers.copy()
    for start, unit in reversed(_TIME_UNITS):  # the larger units last
        large = numbers >= start
        seconds[large] = numbers[large] / unit
    return seconds if seconds.max() < _LATEST_TIME_S else None


def quoted(value: Any) -> str:
    """A value for a message, abbreviated if long."""
    text = repr(value[:60] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 40 else text[:37] + "..."


def _date_s(text: str) -> float:
    text = text.strip()
    if len(text) > 60:
        raise ValueError("is neither seconds nor an ISO date")
    try:
        moment = datetime.datetime.fromisoformat(text.replace("/", "-"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError("is neither seconds nor an ISO date") from error


def _finite(value: Any) -> Any:
    """A value with None for every non-finite number, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_deep(text: str) -> bool:
    """Whether valid JSON is nested too deep, at C speed: pairs of brackets are removed from the
    innermost outwards."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text)).replace("{", "[").replace("}", "]")
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace("[]", "")
        if not brackets:
            return False
    return True


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_JSON = json.JSONDecoder(parse_constant=lambda _: None)
_FINITE_JSON = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_float)
