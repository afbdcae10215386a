"""Cleaning of a log: which events count, and what each step removed.

Steps, in order: times, ratings, unknown items, robots, sessions, duplicates, and finally the
minimum numbers of events, repeated until no user and no item is below them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.task import Finding
from aitk.recsys.data.events import Events
from aitk.recsys.data.options import LogReading
from aitk.recsys.data.values import read_time

_YEAR_1990_S, _DAY_S, _HOUR_S = 631_152_000, 86_400, 3_600
#: Share of repeated events that is worth a warning.
_MANY_DUPLICATES = 0.01


def clean(
    events: Events, reading: LogReading, *, known_items: Collection[str] | None = None
) -> tuple[Events, list[Finding]]:
    """Select the events that count, ordered by user and time.

    Args:
        known_items: ids in the items file, or None without a file.

    Returns:
        The events, with users and items renumbered by their first event in the log, and a finding
        for each requested step.

    Raises:
        DataError: no event is left.
        UsageError: a step needs times but the log has none, or a date is malformed.
    """
    _check_needs(events, reading)
    steps: list[Finding] = []

    def step(check: str, kept: Events, what: str, *, warn_from: float = 2.0) -> Events:
        steps.append(_taken_away(check, events, kept, what, warn_from=warn_from))
        return kept

    if reading.since is not None or reading.until is not None:
        events = step("times", _within_times(events, reading), "outside the time range")
    if reading.min_rating is not None:
        kept = events.keep(events.ratings >= reading.min_rating)
        events = step("low ratings", kept, f"rated below {reading.min_rating:g}")
    if reading.unknown_items == "drop" and known_items is not None:
        known = np.array([item in known_items for item in events.item_ids], bool)
        kept = events.keep(known[events.items])
        events = step("unknown items", kept, "with items missing from the items file")
    if reading.max_user_percentile is not None:
        kept = _without_robots(events, reading.max_user_percentile)
        what = f"of users above percentile {reading.max_user_percentile:g} of events"
        events = step("robots", kept, what)
    if reading.session_gap_hours is not None and len(events):
        users = len(np.unique(events.users))
        events = cut_sessions(events, reading.session_gap_hours)
        message = f"{users:,} users split into {len(events.user_ids):,} sessions"
        steps.append(Finding("sessions", "ok", message, {"users": users}))
    if reading.duplicates != "keep-all":
        kept = without_duplicates(events, keep=reading.duplicates)
        what = f"that repeat a user-item pair ({reading.duplicates})"
        events = step("repeated events", kept, what, warn_from=_MANY_DUPLICATES)
    if reading.min_user_events > 1 or reading.min_item_events > 1:
        kept = keep_core(events, reading.min_user_events, reading.min_item_events)
        what = (
            f"of users with under {reading.min_user_events} events"
            f" or items with under {reading.min_item_events}"
        )
        events = step("few events", kept, what)
    if not len(events):
        messages = [finding.message for finding in steps if finding.details.get("events")]
        raise DataError("no event is left after cleaning", hint="; ".join(messages) or None)
    return events.renumbered().ordered(), steps


def check_times(events: Events, *, now_s: float | None = None) -> Finding:
    """Check that times are plausible: not all equal, in the future, or very old."""
    check = "times of events"
    if not events.has_times:
        return Finding(check, "skipped", "no times: using the order of the files")
    now_s = time.time() if now_s is None else now_s
    first, last = float(events.times.min()), float(events.times.max())
    ahead = int((events.times > now_s + _DAY_S).sum())
    old = int((events.times < _YEAR_1990_S).sum())
    details = {"ahead": ahead, "before_1990": old}
    if len(events) > 1 and first == last:
        message = "all events have the same time: using the order of the files"
        return Finding(check, "warning", message, details)
    if ahead or old:
        parts = [f"{ahead:,} events are in the future"] * bool(ahead)
        parts += [f"{old:,} before 1990"] * bool(old)
        message = f"{' and '.join(parts)}: are these unix seconds or dates?"
        return Finding(check, "warning", message, details)
    days = (last - first) / _DAY_S
    return Finding(check, "ok", f"events over {days:,.1f} days", details)


def cut_sessions(events: Events, gap_hours: float) -> Events:
    """Split each user's events at gaps longer than ``gap_hours``.

    Each session becomes a user named ``USER#1`` and so on; all names are unique.
    """
    events = events.renumbered().ordered()
    begins = np.ones(len(events), bool)
    same_user = events.users[1:] == events.users[:-1]
    begins[1:] = ~same_user | (np.diff(events.times) > gap_hours * _HOUR_S)
    sessions = np.cumsum(begins) - 1
    users = events.users[begins]
    starts = np.searchsorted(users, users)
    numbers = np.arange(len(users)) - starts + 1
    names = [f"{events.user_ids[user]}#{n}" for user, n in zip(users, numbers, strict=True)]
    return dataclasses.replace(events, users=sessions.astype(np.int32), user_ids=names)


def session_user(session: str) -> str:
    """The user of a session."""
    return session.rpartition("#")[0]


def without_duplicates(events: Events, *, keep: str) -> Events:
    """Keep the last (or first) by time of the events with the same user and item.

    Events that the files assign to different splits are not duplicates.
    """
    pairs = events.users.astype(np.int64) * len(events.item_ids) + events.items
    pairs = pairs * 4 + events.named + 1
    ordered = np.sort(pairs)
    if (ordered[1:] != ordered[:-1]).all():
        return events
    order = np.lexsort((events.times,))
    pairs = pairs[order]
    if keep == "keep-last":
        _, places = np.unique(pairs[::-1], return_index=True)
        places = len(pairs) - 1 - places
    else:
        _, places = np.unique(pairs, return_index=True)
    return events.keep(np.sort(order[places]))


def keep_core(events: Events, min_user_events: int, min_item_events: int) -> Events:
    """Remove users and items with too few events until none is left (the k-core of the log)."""
    while True:
        users = np.bincount(events.users, minlength=len(events.user_ids))
        items = np.bincount(events.items, minlength=len(events.item_ids))
        enough = users[events.users] >= min_user_events
        enough &= items[events.items] >= min_item_events
        if enough.all():
            return events
        events = events.keep(enough)


def _check_needs(events: Events, reading: LogReading) -> None:
    for name in ("since", "until", "session_gap_hours"):
        if getattr(reading, name) is not None and not events.has_times:
            raise UsageError(
                "the log has no times",
                where="--" + name.replace("_", "-"),
                hint="Set the time column with --time-column",
            )
    if reading.min_rating is not None and not events.has_ratings:
        hint = "Set the rating column with --rating-column"
        raise UsageError("the log has no ratings", where="--min-rating", hint=hint)


def _within_times(events: Events, reading: LogReading) -> Events:
    since = -np.inf if reading.since is None else _moment(reading.since, "--since")
    until = np.inf if reading.until is None else _moment(reading.until, "--until")
    return events.keep((events.times >= since) & (events.times < until))


def _moment(text: str, where: str) -> float:
    time_s, problem = read_time(text)
    if problem:
        hint = "Use a date such as 2024-12-31, or unix seconds"
        raise UsageError(problem.replace("its time is ", "cannot read "), where=where, hint=hint)
    return time_s


def _without_robots(events: Events, percentile: float) -> Events:
    counts = np.bincount(events.users, minlength=len(events.user_ids))
    if not counts.any():
        return events
    most = np.percentile(counts[counts > 0], percentile)
    return events.keep(counts[events.users] <= most)


def _taken_away(
    check: str, before: Events, after: Events, what: str, *, warn_from: float
) -> Finding:
    then, now = before.counts(), after.counts()
    gone = {name: then[name] - now[name] for name in then}
    if not gone["events"]:
        return Finding(check, "ok", f"no events {what}", gone)
    share = gone["events"] / then["events"]
    message = (
        f"{gone['events']:,} events {what} left out ({share:.1%}),"
        f" along with {gone['users']:,} users and {gone['items']:,} items"
    )
    return Finding(check, "warning" if share >= warn_from else "ok", message, gone)
