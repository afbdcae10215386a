"""A log in memory: five numbers per event, and the ids of users and items."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.rows import SPLITS

if TYPE_CHECKING:
    from aitk.recsys.data.event_batches import EventBatch


@dataclass(frozen=True)
class Events:
    """The events of a log, as arrays of equal length.

    Attributes:
        users: (events,) int32, indices into ``user_ids``.
        items: (events,) int32, indices into ``item_ids``.
        ratings: (events,) float32; 1.0 without ratings.
        times: (events,) float64, seconds since 1970; without times, positions in the log.
        named: (events,) int8, split number given by the file, or -1.
        user_ids: users by first event.
        item_ids: items by first event.
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray
    named: np.ndarray
    user_ids: list[str]
    item_ids: list[str]
    has_ratings: bool
    has_times: bool

    def __len__(self) -> int:
        return len(self.users)

    def counts(self) -> dict[str, int]:
        """The number of events, and of users and items with events."""
        return {
            "events": len(self),
            "users": len(present(self.users)),
            "items": len(present(self.items)),
        }

    def keep(self, which: np.ndarray) -> Events:
        """Select events by position or mask. Users and items keep their numbers."""
        return dataclasses.replace(
            self,
            users=self.users[which],
            items=self.items[which],
            ratings=self.ratings[which],
            times=self.times[which],
            named=self.named[which],
        )

    def ordered(self) -> Events:
        """Sort events by user, then time, with ties in log order."""
        later = self.users[1:] > self.users[:-1]
        later |= (self.users[1:] == self.users[:-1]) & (self.times[1:] >= self.times[:-1])
        return self if later.all() else self.keep(np.lexsort((self.times, self.users)))

    def renumbered(self) -> Events:
        """Drop users and items without events, and renumber the others in order."""
        users, items = present(self.users), present(self.items)
        return dataclasses.replace(
            self,
            users=_places(users)[self.users],
            items=_places(items)[self.items],
            user_ids=[self.user_ids[number] for number in users],
            item_ids=[self.item_ids[number] for number in items],
        )

    def user_starts(self) -> np.ndarray:
        """For ordered events: the start of each user's events, and the end, (users + 1,)."""
        return np.searchsorted(self.users, np.arange(len(self.user_ids) + 1))

    def places(self) -> np.ndarray:
        """For ordered events: the position of each within its user's events, from 0."""
        return np.arange(len(self)) - self.user_starts()[self.users]


def present(numbers: np.ndarray) -> np.ndarray:
    """The different numbers of an array of small ones from 0, rising."""
    return np.flatnonzero(np.bincount(numbers))


def _places(numbers: np.ndarray) -> np.ndarray:
    """The place of each number in a rising array: (largest + 1,) int32."""
    places = np.zeros(numbers[-1] + 1 if len(numbers) else 0, np.int32)
    places[numbers] = np.arange(len(numbers), dtype=np.int32)
    return places


class EventLog:
    """Collects events, using 21 bytes each plus the ids."""

    def __init__(self) -> None:
        self._user_numbers: dict[str, int] = {}
        self._item_numbers: dict[str, int] = {}
        self._users, self._items = array("i"), array("i")
        self._ratings, self._times = array("f"), array("d")
        self._named = array("b")
        self._rated = self._timed = 0

    def __len__(self) -> int:
        return len(self._users)

    def add(self, fields: Mapping[str, Any], split: str | None) -> None:
        """Add one event: ``user``, ``item``, optionally ``rating`` and ``time``."""
        users, items = self._user_numbers, self._item_numbers
        self._users.append(users.setdefault(fields["user"], len(users)))
        self._items.append(items.setdefault(fields["item"], len(items)))
        rating, time = fields.get("rating"), fields.get("time")
        self._rated += rating is not None
        self._timed += time is not None
        self._ratings.append(1.0 if rating is None else rating)
        self._times.append(0.0 if time is None else time)
        self._named.append(-1 if split is None else SPLITS.index(split))

    def add_batch(self, batch: EventBatch) -> None:
        """Add the events of a batch, in their order."""
        for names, numbers, known, target in (
            (batch.users, batch.user_numbers, self._user_numbers, self._users),
            (batch.items, batch.item_numbers, self._item_numbers, self._items),
        ):
            of_name = np.array([known.setdefault(name, len(known)) for name in names], np.int32)
            target.frombytes(of_name[numbers].tobytes())
        for values, floats, dtype, usual in (
            (batch.ratings, self._ratings, np.float32, 1.0),
            (batch.times, self._times, np.float64, 0.0),
        ):
            filled = np.full(len(batch), usual) if values is None else values
            floats.frombytes(filled.astype(dtype).tobytes())
        self._rated += len(batch) * (batch.ratings is not None)
        self._timed += len(batch) * (batch.times is not None)
        code = -1 if batch.split is None else SPLITS.index(batch.split)
        self._named.frombytes(np.full(len(batch), code, np.int8).tobytes())

    @property
    def partly(self) -> list[str]:
        """The fields that only some events have; they are dropped from all."""
        counts = {"ratings": self._rated, "times": self._timed}
        return [name for name, count in counts.items() if 0 < count < len(self)]

    def take(self) -> Events:
        """The events, which the log then forgets: nothing is copied.

        Split names count only if some differ from ``train``.
        """
        count = len(self)
        has_ratings, has_times = self._rated == count > 0, self._timed == count > 0
        named = np.frombuffer(self._named, np.int8)
        ratings, times = self._ratings, self._times
        events = Events(
            users=np.frombuffer(self._users, np.int32),
            items=np.frombuffer(self._items, np.int32),
            ratings=np.frombuffer(ratings, np.float32) if has_ratings else np.ones(count, "f4"),
            times=np.frombuffer(times, np.float64) if has_times else np.arange(count, dtype="f8"),
            named=named if (named > 0).any() else np.full(count, -1, np.int8),
            user_ids=list(self._user_numbers),
            item_ids=list(self._item_numbers),
            has_ratings=has_ratings,
            has_times=has_times,
        )
        self.__init__()  # type: ignore[misc]
        return events
