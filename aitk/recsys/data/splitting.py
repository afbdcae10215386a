"""From a stream of events to one row per user and split, plus tables.

All events are collected before the first row, because the split depends on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import SPLITS, Refusal, Row
from aitk.core.contract.task import Finding, Note
from aitk.core.io.names import printable
from aitk.core.runtime import interrupts
from aitk.recsys.data.attributes import Attributes, read_attributes
from aitk.recsys.data.cleaning import check_times, clean, session_user
from aitk.recsys.data.columns import ITEM_COLUMNS, USER_COLUMNS
from aitk.recsys.data.event_batches import EventBatch
from aitk.recsys.data.events import EventLog, Events, present
from aitk.recsys.data.options import LogReading
from aitk.recsys.data.protocols import (
    TEST,
    TRAIN,
    VALIDATION,
    check_time_leak,
    describe_protocol,
    looked_at,
    sampled_negatives,
    split_events,
)
from aitk.recsys.data.quality import find_faults
from aitk.recsys.data.statistics import describe_log
from aitk.recsys.data.tables import (
    HISTORY_TABLE,
    ITEM_TABLE,
    USER_TABLE,
    stored_times,
    write_catalogue,
    write_histories,
)

_SHOWN_EVERY = 10_000  # events that come one by one


class GroupedLog:
    """The rows of one log, and its ``Inspector``.

    Iterating yields refusals as they occur, then the rows: training, validation, test, each by
    user. Events take a few bytes each in memory.

    Args:
        items: events and refusals from ``read_event_batches``.
        rated: events must have ratings that differ.
        shares: shares of training, validation and test.
        seed: seed of random choices.
        tables: folder for the tables stored with the rows.
        note: receives notes on automatic decisions.
        found: findings made while events are read.
        complete: called once the tables are written, before the first row.
        show: called again and again while events are read, with how many there are.
    """

    def __init__(
        self,
        items: Iterable[EventBatch | Row | Refusal],
        reading: LogReading,
        *,
        rated: bool,
        shares: Mapping[str, float],
        seed: int,
        tables: Path,
        note: Note,
        found: Sequence[Finding] = (),
        complete: Callable[[], None] = lambda: None,
        show: Callable[[int], None] = lambda events: None,
    ) -> None:
        self._items, self._reading, self._rated = items, reading, rated
        self._shares, self._seed, self._tables = shares, seed, tables
        self._note, self._found_in_reading, self._complete = note, found, complete
        self._show = show
        self._findings: list[Finding] = []
        self._summary: dict[str, Any] = {}

    def add(self, row: Row, split: str) -> None:
        """Does nothing: all events were inspected before the first row."""

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault."""
        return self._findings

    def summary(self) -> dict[str, Any]:
        """The log's statistics, as JSON values and charts."""
        return self._summary

    def __iter__(self) -> Iterator[Row | Refusal]:
        """Read the log and yield its rows.

        Raises:
            DataError: too little of the log is left to train on.
            UsageError: an option needs missing times, ratings or files.
        """
        log, file = EventLog(), ""
        for item in self._items:
            interrupts.check()
            if isinstance(item, Refusal):
                yield item
                continue
            if isinstance(item, EventBatch):
                log.add_batch(item)
            else:
                log.add(item.fields, item.split)
            file = file or printable(item.file)
            if isinstance(item, EventBatch) or len(log) % _SHOWN_EVERY == 0:
                self._show(len(log))
        if not len(log):
            return
        events, codes = self._split(log, file)
        self._complete()
        for number, (split, fields) in enumerate(user_rows(events, codes, self._reading), 1):
            yield Row(fields, file, number, split)

    def _split(self, log: EventLog, file: str) -> tuple[Events, np.ndarray]:
        """Clean, check and split the events, and write the tables."""
        reading, findings = self._reading, []
        for name in log.partly:
            message = f"only some events have {name}: all {name} are ignored"
            findings.append(Finding(f"{name} of events", "warning", message))
        everything = log.take()
        of_users, of_items = everything.user_ids, everything.item_ids
        item_facts, user_facts = self._read_attributes()
        known = None if item_facts is None else frozenset(item_facts.ids)
        events, steps = clean(everything, reading, known_items=known)
        del everything  # of a large log, half of the memory
        _check_enough(events, file, rated=self._rated)
        codes = split_events(events, reading, shares=self._shares, seed=self._seed)
        if not (codes == TRAIN).any():
            hint = "Use another --protocol or --split"
            raise DataError("no event is left for training", where=file, hint=hint)
        catalogue = _with_others(events.item_ids, item_facts, of_items)
        write_catalogue(
            self._tables / ITEM_TABLE, "item", catalogue, item_facts, known_as=catalogue
        )
        self._write_users(self._tables / USER_TABLE, events, of_users, user_facts)
        write_histories(self._tables / HISTORY_TABLE, events)
        self._findings = [
            *self._found_in_reading,
            *findings,
            check_times(events),
            *steps,
            check_time_leak(events, codes, reading),
            *find_faults(events, codes, reading, items=item_facts),
        ]
        self._summary = {
            "protocol": describe_protocol(events, reading, shares=self._shares),
            "items": len(catalogue),
            "sampled_negatives": sampled_negatives(reading),
        }
        self._summary |= describe_log(events, codes, reading, items=item_facts, users=user_facts)
        return events, codes

    def _read_attributes(self) -> tuple[Attributes | None, Attributes | None]:
        reading = self._reading
        if reading.unknown_items == "drop" and reading.items is None:
            hint = "Give the items file with --items"
            raise UsageError(
                "there is no items file that defines the known items",
                where="--unknown-items",
                hint=hint,
            )
        if reading.item_kinds and reading.items is None:
            hint = "Give the items file with --items"
            raise UsageError("no file has attributes of items", where="--item-kinds", hint=hint)
        items = users = None
        if reading.items is not None:
            items = read_attributes(
                reading.items,
                key_names=(*ITEM_COLUMNS, "id"),
                given_key=reading.item_column,
                given_kinds=reading.item_kinds,
                what="item",
                encoding=reading.encoding,
                decimal=reading.decimal,
                keep_na=reading.keep_na,
                note=self._note,
            )
        if reading.users is not None:
            users = read_attributes(
                reading.users,
                key_names=(*USER_COLUMNS, "id"),
                given_key=reading.user_column,
                what="user",
                encoding=reading.encoding,
                decimal=reading.decimal,
                keep_na=reading.keep_na,
                note=self._note,
            )
        return items, users

    def _write_users(
        self, path: Path, events: Events, of_log: Sequence[str], facts: Attributes | None
    ) -> None:
        """Write one row per user; a session has the attributes of its user."""
        is_cut = self._reading.session_gap_hours is not None
        active = list(map(session_user, events.user_ids)) if is_cut else events.user_ids
        others = _with_others(active, facts, of_log)[len(active) :]
        ids, known_as = [*events.user_ids, *others], [*active, *others]
        write_catalogue(path, "user", ids, facts, known_as=known_as)


def user_rows(
    events: Events, codes: np.ndarray, reading: LogReading
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The split and fields of every row, from ordered events and their codes."""
    starts = events.user_starts().tolist()
    times = stored_times(events)
    ratings = events.ratings.astype(np.float64).round(6).astype(np.float32)
    shown = looked_at(reading)
    for split in (TRAIN, VALIDATION, TEST):
        is_looked_at = np.isin(codes, shown[split])
        is_target = (codes == split) & (split != TRAIN)
        is_seen = ((codes == VALIDATION) & (split == TEST)) & ~is_looked_at
        wanted = codes == split
        for user in present(events.users[wanted]).tolist():
            own = slice(starts[user], starts[user + 1])
            look, target = is_looked_at[own], is_target[own]
            yield (
                SPLITS[split],
                {
                    "user": events.user_ids[user],
                    "items": events.items[own][look],
                    "ratings": ratings[own][look],
                    "times": times[own][look],
                    "seen": events.items[own][is_seen[own]],
                    "targets": events.items[own][target],
                    "target_ratings": ratings[own][target],
                },
            )


def _with_others(
    active: Sequence[str], facts: Attributes | None, of_log: Sequence[str]
) -> list[str]:
    """The ids with events, then those that occur only in the file.

    Ids removed from the log by cleaning stay out.
    """
    if facts is None:
        return list(active)
    taken = set(of_log).union(active)
    return [*active, *(key for key in facts.ids if key not in taken)]


def _check_enough(events: Events, file: str, *, rated: bool) -> None:
    """Raise ``DataError`` if there is nothing to train on."""
    if len(events.item_ids) < 2:
        hint = "See --item-column"
        raise DataError(
            f"all events are with one item, {events.item_ids[0]!r}", where=file, hint=hint
        )
    if len(events.user_ids) < 2:
        hint = "See --user-column"
        raise DataError(
            f"all events are of one user, {events.user_ids[0]!r}", where=file, hint=hint
        )
    if not rated:
        return
    if not events.has_ratings:
        hint = "Set the rating column with --rating-column"
        raise DataError("the log has no ratings to train on", where=file, hint=hint)
    if events.ratings.min() == events.ratings.max():
        raise DataError(f"all ratings are {events.ratings[0]:g}: nothing to learn", where=file)
