"""Many events at once: the columns of a block of a file as numbers, and the names they stand for.

What is read here is what ``reading`` makes of the same records one by one; where a record of the
block would be refused, or needs a look at others, the whole block is left to it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aitk.core.contract.labels import NameReader
from aitk.core.io.values import to_times
from aitk.recsys.data.columns import Columns
from aitk.recsys.data.values import LARGEST_RATING, TimeReader, read_rating

if TYPE_CHECKING:
    import pyarrow

#: Different ratings of a block that are read one by one; of more the column is read as numbers.
FEW_RATINGS = 1000
EVENTS_AT_ONCE = 100_000
LONGEST_NUMBER = 40  # characters; of more, few are numbers


@dataclass(frozen=True)
class EventBatch:
    """Events that follow each other in a file.

    Attributes:
        users, items: names, each by its first event; two may be alike.
        user_numbers, item_numbers: (events,) places among these.
        ratings, times: (events,) float64; None where the file has none.
        split: what the file's name tells.
    """

    users: list[str]
    items: list[str]
    user_numbers: np.ndarray
    item_numbers: np.ndarray
    ratings: np.ndarray | None
    times: np.ndarray | None
    file: str
    split: str | None

    def __len__(self) -> int:
        return len(self.user_numbers)


class LineBatch:
    """Gathers the events of lines that name a user and his items."""

    def __init__(self, file: str, split: str | None):
        self._file, self._split = file, split
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._user_numbers, self._item_numbers = array("i"), array("i")

    def __len__(self) -> int:
        return len(self._user_numbers)

    def add(self, user: str, items: Sequence[str], names: NameReader) -> bool:
        """Add a line; False if a name of it is not to be taken as it stands."""
        if not items:
            return True
        known = self._items
        new = [item for item in items if item not in known]
        for name, what in ((user, "user"), *((item, "item") for item in new)):
            if NameReader(names.keep_na).read(name, what) != (name, None):
                return False
        for item in new:
            known.setdefault(item, len(known))
        number = self._users.setdefault(user, len(self._users))
        self._user_numbers.extend([number] * len(items))
        self._item_numbers.extend([known[item] for item in items])
        return True

    def take(self) -> EventBatch:
        """The events so far, which are forgotten."""
        batch = EventBatch(
            list(self._users),
            list(self._items),
            np.array(self._user_numbers, np.int32),
            np.array(self._item_numbers, np.int32),
            None,
            None,
            self._file,
            self._split,
        )
        self.__init__(self._file, self._split)  # type: ignore[misc]
        return batch


def read_event_batch(
    batch: pyarrow.RecordBatch,
    columns: Columns,
    names: NameReader,
    times: TimeReader,
    *,
    file: str,
    split: str | None,
) -> EventBatch | None:
    """The events of a block; None where they are to be read one by one."""
    changed: dict[str, int] = {}
    users = _read_names(batch.column(str(columns.user)), "user", names, changed)
    items = _read_names(batch.column(columns.item), "item", names, changed)
    if users is None or items is None:
        return None
    ratings = seconds = None
    if columns.rating is not None:
        ratings = _read_ratings(batch.column(columns.rating))
        if ratings is None:
            return None
    if columns.time is not None:
        seconds = _read_times(batch.column(columns.time), times)
        if seconds is None:
            return None
    for what, count in changed.items():
        names.changed[what] = names.changed.get(what, 0) + count
    return EventBatch(users[0], items[0], users[1], items[1], ratings, seconds, file, split)


def _read_names(
    column: pyarrow.Array, what: str, names: NameReader, changed: dict[str, int]
) -> tuple[list[str], np.ndarray] | None:
    """The names of a column and the place of each value among them; None where one is refused."""
    values, numbers = _different(column)
    counts = np.bincount(numbers, minlength=len(values))
    found = []
    for value, count in zip(values, counts.tolist(), strict=True):
        reader = NameReader(names.keep_na)
        name, problem = reader.read(value, what)
        if problem:
            return None
        if reader.changed:
            changed[what] = changed.get(what, 0) + count
        found.append(name)
    return found, numbers


def _read_ratings(column: pyarrow.Array) -> np.ndarray | None:
    values, numbers = _different(column)
    if len(values) > FEW_RATINGS:
        ratings = _as_numbers(column)
        return None if ratings is None or (np.abs(ratings) >= LARGEST_RATING).any() else ratings
    read = [read_rating(value) for value in values]
    if any(problem for _, problem in read):
        return None
    return np.array([rating for rating, _ in read])[numbers]


def _read_times(column: pyarrow.Array, times: TimeReader) -> np.ndarray | None:
    if times.takes_numbers and (numbers := _as_numbers(column)) is not None:
        return to_times(numbers)
    values, places = _different(column)
    seconds = times.read_each(values)
    return None if seconds is None else np.array(seconds)[places]


def _different(column: pyarrow.Array) -> tuple[list, np.ndarray]:
    """The different values of a column, each by its first place, and their numbers."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):  # in no order, and perhaps with more
        column = column.dictionary_decode()
    encoded = column.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def _as_numbers(column: pyarrow.Array) -> np.ndarray | None:
    """A column as finite float64; None where a value is no plain number."""
    import pyarrow
    from pyarrow import compute

    is_text = not pyarrow.types.is_integer(column.type) and not pyarrow.types.is_floating(
        column.type
    )
    try:
        if is_text and compute.max(compute.binary_length(column)).as_py() > LONGEST_NUMBER:
            return None
        # Whole numbers that no float holds are rounded, as Python rounds them.
        numbers = column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
        return None
    return numbers if np.isfinite(numbers).all() else None
