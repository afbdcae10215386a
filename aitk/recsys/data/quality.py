"""Checks of a log and of its split."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from aitk.core.contract.rows import SPLITS
from aitk.core.contract.task import Finding, Grade
from aitk.recsys.data.attributes import Attributes
from aitk.recsys.data.events import Events, present
from aitk.recsys.data.options import ORDERED, LogReading, RateReading
from aitk.recsys.data.protocols import HISTORY, TEST, TRAIN, VALIDATION
from aitk.recsys.data.statistics import describe_popularity, history_sizes

#: Users with fewer training events have short histories.
FEW_EVENTS = 5
#: With fewer held-out events, scores are unreliable.
FEW_TARGETS = 100
#: Share of users with few events, of unfindable targets, or of items without attributes that is
#: worth a warning.
_MANY = 0.2
_ROUNDED = re.compile(r"\d(\.\d+)?E\+\d\d")


def find_faults(
    events: Events, codes: np.ndarray, reading: LogReading, *, items: Attributes | None
) -> list[Finding]:
    """All checks of a split log, including those without a fault.

    Args:
        events: ordered events from ``clean``.
        codes: (events,) codes from ``split_events``.
        items: attributes from the items file, or None without one.
    """
    found = [
        _find_targets(codes),
        _find_short_histories(events, codes),
        _find_unseen_items(events, codes, reading),
        _find_unknown_users(events, codes),
        _find_repeated_targets(events, codes),
        _find_concentration(events, codes),
    ]
    if events.has_times and reading.protocol in ORDERED:
        found.append(_find_ties(events, codes))
    if events.has_ratings:
        found.append(_find_zero_ratings(events, reading))
    if events.has_ratings and not isinstance(reading, RateReading):
        found.append(_find_dislikes(events))
    found += [_find_rounded_ids(events), _find_ids_alike(events)]
    if items is not None:
        found.append(_find_bare_items(events, items))
    return found


def _find_targets(codes: np.ndarray) -> Finding:
    held_out = {SPLITS[split]: int((codes == split).sum()) for split in (VALIDATION, TEST)}
    per_split = " and ".join(f"{count:,} for {name}" for name, count in held_out.items())
    message, grade = f"events held out: {per_split}", "ok"
    least = held_out["test"] or held_out["validation"]
    if not least:
        message, grade = "no event is held out: nothing can be evaluated", "error"
    elif least < FEW_TARGETS:
        message, grade = f"{message}; too few for reliable scores", "warning"
    return Finding("held-out events", grade, message, held_out)  # type: ignore[arg-type]


def _find_short_histories(events: Events, codes: np.ndarray) -> Finding:
    sizes = history_sizes(events, codes == TRAIN)
    short = int((sizes < FEW_EVENTS).sum())
    return _counted(
        "short histories",
        short,
        len(sizes),
        f"users with under {FEW_EVENTS} training events",
        warn_from=_MANY,
    )


def _find_unseen_items(events: Events, codes: np.ndarray, reading: LogReading) -> Finding:
    """Targets whose item is in no training row: a model of ids alone cannot find them."""
    held_out = np.isin(codes, (VALIDATION, TEST))
    unseen = held_out & ~np.isin(events.items, events.items[codes == TRAIN])
    return _counted(
        "new items",
        int(unseen.sum()),
        int(held_out.sum()),
        "held-out events with an item unseen in training",
        warn_from=2.0 if reading.protocol == "cold-items" else _MANY,
        items=len(np.unique(events.items[unseen])),
    )


def _find_unknown_users(events: Events, codes: np.ndarray) -> Finding:
    held_out = present(events.users[np.isin(codes, (VALIDATION, TEST))])
    known = present(events.users[np.isin(codes, (TRAIN, HISTORY))])
    return _counted(
        "users without a history",
        int((~np.isin(held_out, known)).sum()),
        len(held_out),
        "users with held-out events but no earlier event",
        warn_from=_MANY,
    )


def _find_repeated_targets(events: Events, codes: np.ndarray) -> Finding:
    """Targets that their user had before: they are excluded while seen items are."""
    pairs = events.users.astype(np.int64) * len(events.item_ids) + events.items
    held_out = np.isin(codes, (VALIDATION, TEST))
    before = np.zeros(len(events), bool)
    before[held_out] = _among(pairs[held_out], pairs[np.isin(codes, (TRAIN, HISTORY))])
    test = codes == TEST
    before[test] |= _among(pairs[test], pairs[codes == VALIDATION])
    return _counted(
        "targets seen before",
        int((held_out & before).sum()),
        int(held_out.sum()),
        "held-out events with an item of the user's history",
        hint="they cannot be found while seen items are excluded",
    )


def _among(few: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Which of a few numbers are among many: (few,) bool; only the few are sorted."""
    wanted, places = np.unique(few, return_inverse=True)
    if not len(wanted):
        return np.zeros(0, bool)
    at = np.minimum(np.searchsorted(wanted, many), len(wanted) - 1)
    found = np.zeros(len(wanted), bool)
    found[at[wanted[at] == many]] = True
    return found[places]


def _find_concentration(events: Events, codes: np.ndarray) -> Finding:
    counts = np.bincount(events.items[codes == TRAIN], minlength=len(events.item_ids))
    shares = describe_popularity(counts)
    message = (
        f"the most popular 10% of items have {shares['top_10_percent']:.0%} of training events"
        f" (Gini {shares['gini']:.2f})"
    )
    return Finding("popularity", "ok", message, shares)


def _find_zero_ratings(events: Events, reading: LogReading) -> Finding:
    zeros = int((events.ratings == 0).sum())
    others = events.ratings[events.ratings > 0]
    least = 1.0 if isinstance(reading, RateReading) else 0.0  # a scale may include 0
    if not zeros or not len(others) or others.min() < least:
        return Finding("ratings of 0", "ok", "no ratings of 0 below a scale that starts at 1")
    return _counted(
        "ratings of 0",
        zeros,
        len(events),
        f"ratings of 0 while the others start at {others.min():g}",
        hint="if 0 means no rating, see --min-rating",
    )


def _find_dislikes(events: Events) -> Finding:
    """Negative ratings: recommendation treats every event as a choice."""
    return _counted(
        "negative ratings",
        int((events.ratings < 0).sum()),
        len(events),
        "ratings below 0, which are learned as choices",
        hint="drop them with --min-rating",
    )


def _find_ties(events: Events, codes: np.ndarray) -> Finding:
    """Held-out events with the same time as an event of their user that is not held out."""
    tied = (events.users[1:] == events.users[:-1]) & (events.times[1:] == events.times[:-1])
    tied &= (codes[1:] != codes[:-1]) & np.isin(codes[1:], (VALIDATION, TEST))
    return _counted(
        "tied times",
        int(tied.sum()),
        int(np.isin(codes, (VALIDATION, TEST)).sum()),
        "held-out events with the same time as the event before them",
        hint="the order in the file decides which is held out (see --protocol)",
    )


def _find_rounded_ids(events: Events) -> Finding:
    """Ids that a spreadsheet program rounded: ``1.23E+15``."""
    rounded = [name for name in (*events.user_ids, *events.item_ids) if _ROUNDED.fullmatch(name)]
    hint = f"a spreadsheet program rounded them, such as {rounded[0]}" if rounded else ""
    total = len(events.user_ids) + len(events.item_ids)
    return _counted("rounded ids", len(rounded), total, "ids like 1.23E+15", hint=hint)


def _find_ids_alike(events: Events) -> Finding:
    """Ids that differ only in case or leading zeros, which programs add and drop."""
    alike = []
    for ids in (events.user_ids, events.item_ids):
        spellings: dict[str, str] = {}
        for name in ids:
            first = spellings.setdefault(name.casefold().lstrip("0"), name)
            if first != name:
                alike.append(f"{first} and {name}")
    total = len(events.user_ids) + len(events.item_ids)
    hint = f"possibly the same, such as {alike[0]}" if alike else ""
    what = "ids that differ only in case or leading zeros"
    return _counted("ids alike", len(alike), total, what, hint=hint)


def _find_bare_items(events: Events, items: Attributes) -> Finding:
    known = set(items.ids)
    bare = [item for item in events.item_ids if item not in known]
    hint = ""
    if len(bare) == len(events.item_ids) and known:
        hint = f"the files share no id: they have {bare[0]!r} and {items.ids[0]!r}"
    what = "items with events but missing from the items file"
    finding = _counted("items without attributes", len(bare), len(events.item_ids), what, hint=hint)
    return dataclasses.replace(finding, grade="error") if hint else finding


def _counted(
    check: str,
    count: int,
    total: int,
    what: str,
    *,
    warn_from: float = 0.0,
    hint: str = "",
    **details: Any,
) -> Finding:
    """A finding about ``count`` of ``total``: a warning if nonzero and above the share."""
    if not total:
        return Finding(check, "skipped", f"not checked, too few events: {what}", details)
    share = count / total
    grade: Grade = "warning" if count and share >= warn_from else "ok"
    message = f"{count:,} {what} ({share:.1%})" if count else f"no {what}"
    message += f": {hint}" if count and hint else ""
    return Finding(check, grade, message, {"count": count, "share": round(share, 6), **details})
