"""What a value of a log stands for: a rating, a time, a list; or why it stands for none."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

#: Ratings are kept as 32-bit floats.
LARGEST_RATING = 3e38
#: From each size on, a number of seconds since 1970 must be one of ms, of us, of ns.
_TIME_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_LATEST_TIME_S = 1e11


def read_rating(value: Any) -> tuple[float, str | None]:
    """The rating in a value, or why there is none."""
    if value is None or value == "":
        return 0.0, "it has no rating"
    try:
        rating = float(value)
    except (TypeError, ValueError):
        return 0.0, f"its rating is {_short(value)}, not a number"
    if not abs(rating) < LARGEST_RATING:  # NaN is not, either
        return 0.0, f"its rating is {_short(value)}"
    return rating, None


def read_time(value: Any) -> tuple[float, str | None]:
    """The seconds since 1970 that a value names, or why it names none.

    Numbers are seconds; large ones milliseconds, microseconds or nanoseconds. Dates are ISO
    8601, also with slashes, in UTC where they name no zone.
    """
    if value is None or value == "":
        return 0.0, "it has no time"
    try:
        time_s = float(value)
    except (TypeError, ValueError):
        try:
            moment = datetime.fromisoformat(str(value).strip().replace("/", "-"))
        except ValueError:
            return 0.0, f"its time is {_short(value)}, neither seconds nor an ISO date"
        time_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if math.isnan(time_s):
        return 0.0, f"its time is {_short(value)}"
    if time_s < 0:
        return 0.0, f"its time is {_short(value)}, before 1970"
    if time_s >= _LATEST_TIME_S:
        time_s /= next(unit for start, unit in _TIME_UNITS if time_s >= start)
        if time_s >= _LATEST_TIME_S:
            return 0.0, f"its time is {_short(value)}, which is no date"
    return time_s, None


def read_list(value: Any) -> list[Any] | None:
    """The list in a value: one already, a JSON list, or words between spaces; else None."""
    if isinstance(value, list):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    if text.startswith("["):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, list):
            return parsed
    return text.split()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
