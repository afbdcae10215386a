"""Values of a log: ratings, lists and times; or the reason why one is invalid.

Times are seconds, ISO dates, or dates with a country's order. Whether 03/04/2001 is in March or
April is decided by the first cell of the column with a number above 12 in either position. If there
is none, the reader reports that it guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Finding
from aitk.core.io.values import parse_json, quoted, to_number, to_time

#: Ratings are stored as 32-bit floats.
LARGEST_RATING = 3e38
_LIST_ITEM = re.compile(r"""'([^']*)'|"([^"]*)"|([^\s,]+)""")
Order = Literal["ymd", "dmy", "mdy"]
ORDERS: tuple[Order, ...] = ("ymd", "dmy", "mdy")
_WORDS = {"y": "year", "m": "month", "d": "day"}
#: 9/30/2001, 09.09.2001 02:42:42, 2001年9月9日, 30-9-01 1:05 PM.
_LOCAL = re.compile(
    r"(\d{1,4})\s?([./年-])\s?(\d{1,2})\s?[./月-]\s?(\d{1,4})日?"
    r"(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp])?\.?(?:[Mm]\.?)?)?"
)
_COMPACT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")


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


class TimeReader:
    """Parses the times of one column.

    Args:
        pattern: dmy, mdy, ymd, or the codes of ``strptime``; None: detected.
        cells: the first cells of the column.

    Raises:
        UsageError: ``pattern`` is invalid.
    """

    def __init__(self, pattern: str | None, cells: Iterable[Any]):
        cells = [cell for cell in cells if cell is not None and cell != ""]
        self._format = pattern if pattern and pattern not in ORDERS else None
        if self._format:
            _check_format(self._format)
        self._compact = bool(cells) and all(_COMPACT.fullmatch(str(cell)) for cell in cells)
        self._given_order: Order | None = next(
            (order for order in ORDERS if order == pattern), None
        )
        self._possible: set[Order] = set(ORDERS[1:])
        self._example = ""
        self._guess: Order = "dmy"
        for cell in cells:
            self.look_at(cell)

    @property
    def is_ambiguous(self) -> bool:
        """Whether dates occurred, but none showed which number is the month."""
        return bool(self._example) and len(self._possible) > 1 and self._given_order is None

    def look_at(self, cell: Any) -> None:
        """Learn the order of day and month from a cell."""
        found = _LOCAL.fullmatch(cell.strip()) if isinstance(cell, str) else None
        if found is None or len(found[1]) > 2:
            return
        if not self._example:
            self._example = cell.strip()
            # With dots or hyphens, most countries put the day first; with slashes, not all do.
            self._guess = "mdy" if found[2] == "/" else "dmy"
            if found[2] == ".":
                self._possible = {"dmy"}
        if int(found[1]) > 12:
            self._possible.discard("mdy")
        if int(found[3]) > 12:
            self._possible.discard("dmy")

    def read(self, cell: Any) -> tuple[float, str | None]:
        """The seconds since 1970 given by a cell, or why it has none."""
        if not (self._format or self._compact or self._example):
            time_s, problem = read_time(cell)
            if problem is None:
                return time_s, None
        text = str(cell).strip() if cell is not None else ""
        if self._format and text:
            return _by_format(text, self._format)
        if self._compact and _COMPACT.fullmatch(text):
            return _seconds(int(text[:4]), int(text[4:6]), int(text[6:]))
        found = _LOCAL.fullmatch(text) if isinstance(cell, str) else None
        if found is None:
            return read_time(cell)
        self.look_at(cell)
        order: Order = "ymd" if len(found[1]) == 4 else self.order
        time_s, problem = _by_order(found, order)
        if problem:
            problem = f"its time is {quoted(text)}, which is not a date as {_in_words(order)}"
            problem += " (see --time-format)"
        return time_s, problem

    @property
    def takes_numbers(self) -> bool:
        """Whether a number is so many seconds, whatever came before it."""
        return not (self._format or self._compact or self._example)

    def read_each(self, cells: Sequence[Any]) -> list[float] | None:
        """The seconds that each cell names; None where one names none, or where the order of day
        and month may depend on the cells before it."""
        if self._example or any(map(_names_month_by_order, cells)):
            return None
        read = [self.read(cell) for cell in cells]
        return None if any(problem for _, problem in read) else [time_s for time_s, _ in read]

    @property
    def order(self) -> Order:
        """The order of dates that do not start with the year."""
        if self._given_order:
            return self._given_order
        return next(iter(self._possible)) if len(self._possible) == 1 else self._guess

    def note(self) -> str | None:
        """How dates are read, if not obvious."""
        if self._format or not (self._example or self._compact):
            return None
        return f"dates are read as {_in_words('ymd' if self._compact else self.order)}"

    def finding(self, source: str, column: str) -> Finding | None:
        """The ambiguity of the column, if any."""
        if not self.is_ambiguous:
            return None
        other: Order = "dmy" if self.order == "mdy" else "mdy"
        message = (
            f"{source}: dates such as {self._example} in {column!r} are read as"
            f" {_in_words(self.order)}, but could also be {_in_words(other)}: see --time-format"
        )
        return Finding("dates", "warning", message, {"column": column, "order": self.order})


#: The reader of a log without times.
NO_TIMES = TimeReader(None, ())


def are_dates(cells: Iterable[Any]) -> bool:
    """Whether there are cells, and all are written dates, not numbers."""
    texts = [cell for cell in cells if cell is not None and cell != ""]
    reader = TimeReader(None, texts)
    return bool(texts) and all(
        isinstance(cell, str) and not cell.strip().isdecimal() and reader.read(cell)[1] is None
        for cell in texts
    )


def _names_month_by_order(cell: Any) -> bool:
    """Whether a cell holds a date that does not begin with its year."""
    found = _LOCAL.fullmatch(cell.strip()) if isinstance(cell, str) else None
    return found is not None and len(found[1]) <= 2


def _in_words(order: Order) -> str:
    return "/".join(_WORDS[letter] for letter in order)


def _by_order(found: re.Match[str], order: Order) -> tuple[float, str | None]:
    parts = dict(zip(order, (found[1], found[3], found[4]), strict=True))
    year = int(parts["y"])
    if len(parts["y"]) == 2:
        year += 1900 if year >= 69 else 2000  # as in strptime's %y
    hour = int(found[5] or 0)
    if found[8]:
        hour = hour % 12 + (12 if found[8] in "Pp" else 0)
    clock = (hour, int(found[6] or 0), int(found[7] or 0))
    return _seconds(year, int(parts["m"]), int(parts["d"]), *clock)


def _by_format(text: str, form: str) -> tuple[float, str | None]:
    try:
        moment = datetime.strptime(text, form)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), None
    except (ValueError, OverflowError):
        return 0.0, f"its time is {quoted(text)}, which does not match --time-format {form}"


def _seconds(*numbers: int) -> tuple[float, str | None]:
    try:
        time_s = datetime(*numbers, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]
    except ValueError:
        return 0.0, "its time is not a date"
    return (time_s, None) if time_s >= 0 else (0.0, "its time is before 1970")


def _check_format(form: str) -> None:
    hint = "Use dmy, mdy, or codes such as %d/%m/%Y %H:%M"
    try:
        datetime.strptime("", form)
    except ValueError as error:
        if "does not match" in str(error):
            return
        reason = f"cannot read {form!r} ({error})"
        raise UsageError(reason, where="--time-format", hint=hint) from error
    raise UsageError(f"{form!r} has no date code", where="--time-format", hint=hint)
