"""What a log is like, and what is wrong with it and with the way it was split."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from aitk.core.contract.rows import SPLITS
from aitk.core.contract.task import Finding, Grade
from aitk.recsys.data.attributes import Attributes
from aitk.recsys.data.events import Events
from aitk.recsys.data.options import ORDERED, LogReading, RateReading
from aitk.recsys.data.protocols import HISTORY, TEST, TRAIN, VALIDATION, looked_at

#: Shares of the items, from the most popular on.
TOP_SHARES = (0.01, 0.1, 0.2)
#: A user with fewer training events tells a model little.
FEW_EVENTS = 5
#: Under this many held-out events a score says little.
FEW_TARGETS = 100
#: Such a share of users with few events, of targets that cannot be found, or of items that
#: nothing is known of, is worth a warning.
_MANY = 0.2
_BARS, _MOST_RATINGS, _CURVE_STEPS = 30, 20, 20
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_ROUNDED = re.compile(r"\d(\.\d+)?E\+\d\d")
_DAY_S, _HOUR_S, _YEAR_S = 86_400, 3_600, 365.2425 * 86_400
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def find_faults(
    events: Events, codes: np.ndarray, reading: LogReading, *, items: Attributes | None
) -> list[Finding]:
    """Every check of a split log, those that found no fault too.

    Args:
        events: ordered, as ``clean`` returns them.
        codes: (events,) of each event, as ``split_events`` returns them.
        items: what the items file says, or None without one.
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


def describe_log(
    events: Events,
    codes: np.ndarray,
    reading: LogReading,
    *,
    items: Attributes | None,
    users: Attributes | None,
) -> dict[str, Any]:
    """Statistics of a split log, as JSON values and charts."""
    n_users, n_items = len(events.user_ids), len(events.item_ids)
    training = codes == TRAIN
    summary: dict[str, Any] = {
        "users": n_users,
        "items_with_events": n_items,
        "events": len(events),
        "sparsity": round(1 - len(events) / (n_users * n_items), 6),
        "has_ratings": events.has_ratings,
        "has_times": events.has_times,
        "splits": _count_splits(events, codes),
        "history_lengths": _describe_histories(events, codes, reading),
        "popularity": _describe_popularity(np.bincount(events.items[training], minlength=n_items)),
    }
    charts = {
        "training_events_of_a_user": _histogram(_history_sizes(events, training)),
        "most_popular_percent_of_items_with_percent_of_events": popularity_curve(
            np.bincount(events.items[training], minlength=n_items)
        ),
    }
    if events.has_ratings:
        ratings = events.ratings.astype(np.float64)
        summary["ratings"] = {
            "mean": round(float(ratings.mean()), 4),
            "deviation": round(float(ratings.std()), 4),
            "lowest": round(float(ratings.min()), 4),
            "highest": round(float(ratings.max()), 4),
        }
        charts["ratings"] = _count_ratings(ratings)
    if events.has_times:
        summary["first_event"], summary["last_event"] = (
            _date(events.times.min()),
            _date(events.times.max()),
        )
        charts |= _charts_of_times(events.times)
    known = {"items": items, "users": users}
    for name, facts in known.items():
        if facts is not None:
            summary[f"attributes_of_{name}"] = {
                column: {
                    "kind": kind,
                    "missing": facts.values[column].count(None),
                    "of": len(facts.ids),
                }
                for column, kind in facts.kinds.items()
            }
    return summary | {"charts": charts}


def gini(counts: np.ndarray) -> float:
    """How unevenly events are spread: 0 alike, towards 1 all on one (Gini 1912)."""
    ordered = np.sort(np.asarray(counts, np.float64))
    n, total = len(ordered), ordered.sum()
    if not total:
        return 0.0
    return float(2 * (np.arange(1, n + 1) @ ordered) / (n * total) - (n + 1) / n)


def popularity_curve(counts: np.ndarray) -> dict[str, list[float]]:
    """Which percent of events the most popular percent of items have."""
    ordered = np.sort(counts)[::-1]
    percents = np.linspace(100 / _CURVE_STEPS, 100, _CURVE_STEPS)
    tops = np.ceil(percents / 100 * len(ordered) - 1e-9).astype(int)
    covered = np.cumsum(ordered)[tops - 1] / max(ordered.sum(), 1)
    return {"x": percents.tolist(), "y": (100 * covered).round(2).tolist()}


def _find_targets(codes: np.ndarray) -> Finding:
    held_out = {SPLITS[split]: int((codes == split).sum()) for split in (VALIDATION, TEST)}
    told = " and ".join(f"{count:,} for {name}" for name, count in held_out.items())
    message, grade = f"events held out: {told}", "ok"
    least = held_out["test"] or held_out["validation"]
    if not least:
        message, grade = "no event is held out: nothing can be evaluated", "error"
    elif least < FEW_TARGETS:
        message, grade = f"{message}; so few that scores say little", "warning"
    return Finding("held-out events", grade, message, held_out)  # type: ignore[arg-type]


def _find_short_histories(events: Events, codes: np.ndarray) -> Finding:
    sizes = _history_sizes(events, codes == TRAIN)
    short = int((sizes < FEW_EVENTS).sum())
    return _judge(
        "short histories",
        short,
        len(sizes),
        f"users with under {FEW_EVENTS} training events",
        warn_from=_MANY,
    )


def _find_unseen_items(events: Events, codes: np.ndarray, reading: LogReading) -> Finding:
    """Targets whose item no training row has: a model of ids alone cannot find them."""
    held_out = np.isin(codes, (VALIDATION, TEST))
    unseen = held_out & ~np.isin(events.items, events.items[codes == TRAIN])
    return _judge(
        "new items",
        int(unseen.sum()),
        int(held_out.sum()),
        "held-out events with an item that training never saw",
        warn_from=2.0 if reading.protocol == "cold-items" else _MANY,
        items=len(np.unique(events.items[unseen])),
    )


def _find_unknown_users(events: Events, codes: np.ndarray) -> Finding:
    held_out = np.unique(events.users[np.isin(codes, (VALIDATION, TEST))])
    known = np.unique(events.users[np.isin(codes, (TRAIN, HISTORY))])
    return _judge(
        "users without a history",
        int((~np.isin(held_out, known)).sum()),
        len(held_out),
        "users with held-out events and no event before them",
        warn_from=_MANY,
    )


def _find_repeated_targets(events: Events, codes: np.ndarray) -> Finding:
    """Targets that their user had before: recommending what was seen already is left out."""
    pairs = events.users.astype(np.int64) * len(events.item_ids) + events.items
    held_out = np.isin(codes, (VALIDATION, TEST))
    before = np.isin(pairs, pairs[np.isin(codes, (TRAIN, HISTORY))])
    before |= (codes == TEST) & np.isin(pairs, pairs[codes == VALIDATION])
    return _judge(
        "targets seen before",
        int((held_out & before).sum()),
        int(held_out.sum()),
        "held-out events with an item of the user's history",
        hint="they are not found while seen items are left out",
    )


def _find_concentration(events: Events, codes: np.ndarray) -> Finding:
    counts = np.bincount(events.items[codes == TRAIN], minlength=len(events.item_ids))
    shares = _describe_popularity(counts)
    message = (
        f"the most popular 10% of items have {shares['top_10_percent']:.0%} of training events"
        f" (Gini {shares['gini']:.2f})"
    )
    return Finding("popularity", "ok", message, shares)


def _find_zero_ratings(events: Events, reading: LogReading) -> Finding:
    zeros = int((events.ratings == 0).sum())
    others = events.ratings[events.ratings > 0]
    least = 1.0 if isinstance(reading, RateReading) else 0.0  # a scale may have a 0 of its own
    if not zeros or not len(others) or others.min() < least:
        return Finding("ratings of 0", "ok", "no ratings of 0 below a scale that begins at 1")
    return _judge(
        "ratings of 0",
        zeros,
        len(events),
        f"ratings of 0 where the others begin at {others.min():g}",
        hint="if 0 means no rating, see --min-rating",
    )


def _find_dislikes(events: Events) -> Finding:
    """Ratings that say no: a list of recommendations takes every event as a choice."""
    return _judge(
        "negative ratings",
        int((events.ratings < 0).sum()),
        len(events),
        "ratings below 0, which are learned as choices like any other",
        hint="leave them out with --min-rating",
    )


def _find_ties(events: Events, codes: np.ndarray) -> Finding:
    """Held-out events at the very time of one of their user's that is not held out with them."""
    tied = (events.users[1:] == events.users[:-1]) & (events.times[1:] == events.times[:-1])
    tied &= (codes[1:] != codes[:-1]) & np.isin(codes[1:], (VALIDATION, TEST))
    return _judge(
        "tied times",
        int(tied.sum()),
        int(np.isin(codes, (VALIDATION, TEST)).sum()),
        "held-out events with the same time as the event before them",
        hint="the order in the file decided which is held out (see --protocol)",
    )


def _find_rounded_ids(events: Events) -> Finding:
    """Ids that a spreadsheet program turned into numbers of a few digits: ``1.23E+15``."""
    rounded = [name for name in (*events.user_ids, *events.item_ids) if _ROUNDED.fullmatch(name)]
    hint = f"a spreadsheet program cut their digits, as of {rounded[0]}" if rounded else ""
    total = len(events.user_ids) + len(events.item_ids)
    return _judge("rounded ids", len(rounded), total, "ids like 1.23E+15", hint=hint)


def _find_ids_alike(events: Events) -> Finding:
    """Ids that differ only in case or in zeros at the beginning, which programs add and drop."""
    alike = []
    for ids in (events.user_ids, events.item_ids):
        spellings: dict[str, str] = {}
        for name in ids:
            first = spellings.setdefault(name.casefold().lstrip("0"), name)
            if first != name:
                alike.append(f"{first} and {name}")
    total = len(events.user_ids) + len(events.item_ids)
    hint = f"perhaps the same, as {alike[0]}" if alike else ""
    what = "ids that differ from another only in case or leading zeros"
    return _judge("ids alike", len(alike), total, what, hint=hint)


def _find_bare_items(events: Events, items: Attributes) -> Finding:
    known = set(items.ids)
    bare = [item for item in events.item_ids if item not in known]
    hint = ""
    if len(bare) == len(events.item_ids) and known:
        hint = f"no id is in both files: they have {bare[0]!r} and {items.ids[0]!r}"
    what = "items with events that the items file lacks"
    finding = _judge("items without attributes", len(bare), len(events.item_ids), what, hint=hint)
    return dataclasses.replace(finding, grade="error") if hint else finding


def _judge(
    check: str,
    count: int,
    total: int,
    what: str,
    *,
    warn_from: float = 0.0,
    hint: str = "",
    **details: Any,
) -> Finding:
    """A finding about ``count`` of ``total``: a warning if there are any, above the share."""
    if not total:
        return Finding(check, "skipped", f"not checked, for lack of events: {what}", details)
    share = count / total
    grade: Grade = "warning" if count and share >= warn_from else "ok"
    message = f"{count:,} {what} ({share:.1%})" if count else f"no {what}"
    message += f": {hint}" if count and hint else ""
    return Finding(check, grade, message, {"count": count, "share": round(share, 6), **details})


def _count_splits(events: Events, codes: np.ndarray) -> dict[str, dict[str, int]]:
    """Rows, events, users and items of each split, and what training does not know of them."""
    training = codes == TRAIN
    known_items, known_users = events.items[training], events.users[training]
    counts = {}
    for split in (TRAIN, VALIDATION, TEST):
        users = np.unique(events.users[codes == split])
        items = np.unique(events.items[codes == split])
        if len(users):
            counts[SPLITS[split]] = {
                "events": int((codes == split).sum()),
                "users": len(users),
                "items": len(items),
                "users_not_in_training": int((~np.isin(users, known_users)).sum()),
                "items_not_in_training": int((~np.isin(items, known_items)).sum()),
            }
    return counts


def _describe_histories(
    events: Events, codes: np.ndarray, reading: LogReading
) -> dict[str, Mapping[str, float]]:
    """How many items a model may look at in a row, by split."""
    described: dict[str, Mapping[str, float]] = {}
    for split, shown in looked_at(reading).items():
        users = np.unique(events.users[codes == split])
        if len(users):
            which = np.isin(codes, shown)
            sizes = np.bincount(events.users[which], minlength=len(events.user_ids))[users]
            described[SPLITS[split]] = _describe(sizes)
    return described


def _describe_popularity(counts: np.ndarray) -> dict[str, float]:
    """Shares of the events that the most popular items have, and the Gini coefficient."""
    ordered, total = np.sort(counts)[::-1], max(int(counts.sum()), 1)
    shares = {
        f"top_{share:.0%}".replace("%", "_percent"): round(
            float(ordered[: int(np.ceil(share * len(ordered)))].sum() / total), 4
        )
        for share in TOP_SHARES
    }
    return shares | {"gini": round(gini(counts), 4)}


def _history_sizes(events: Events, which: np.ndarray) -> np.ndarray:
    """Events of each user that has any, (users,)."""
    sizes = np.bincount(events.users[which], minlength=len(events.user_ids))
    return sizes[sizes > 0]


def _describe(sizes: np.ndarray) -> dict[str, float]:
    cuts = np.percentile(sizes, _PERCENTILES, method="lower")
    return {
        "mean": round(float(sizes.mean()), 1),
        **{f"p{share}": int(cut) for share, cut in zip(_PERCENTILES, cuts, strict=True)},
        "longest": int(sizes.max()),
    }


def _histogram(sizes: np.ndarray) -> dict[str, list[float]]:
    """Counts by size; the largest 1% count as being as large as the others' largest."""
    if not len(sizes):
        return {"x": [], "y": []}
    sizes = np.minimum(sizes, np.percentile(sizes, 99, method="higher"))
    counts, edges = np.histogram(sizes, bins=min(_BARS, int(np.ptp(sizes)) + 1))
    return {"x": ((edges[:-1] + edges[1:]) / 2).round(1).tolist(), "y": counts.tolist()}


def _count_ratings(ratings: np.ndarray) -> dict[str, list[float]]:
    values, counts = np.unique(ratings, return_counts=True)
    if len(values) > _MOST_RATINGS:
        counts, edges = np.histogram(ratings, bins=_BARS)
        values = (edges[:-1] + edges[1:]) / 2
    return {"x": values.round(4).tolist(), "y": counts.tolist()}


def _charts_of_times(times: np.ndarray) -> dict[str, dict[str, list[Any]]]:
    """Events over the log's whole time, over the hours of a day and the days of a week (UTC)."""
    span_s = float(np.ptp(times))
    if span_s >= 2 * _YEAR_S:
        name, places = "events_by_year", 1970 + times / _YEAR_S
    else:
        name, places = "events_by_day_since_the_first", (times - times.min()) / _DAY_S
    counts, edges = np.histogram(places, bins=_BARS)
    days = (times // _DAY_S).astype(np.int64)
    hours = np.bincount((times % _DAY_S // _HOUR_S).astype(np.int64), minlength=24)
    weekdays = np.bincount((days + 3) % 7, minlength=7)  # 1970 began on a Thursday
    return {
        name: {"x": ((edges[:-1] + edges[1:]) / 2).round(2).tolist(), "y": counts.tolist()},
        "events_by_hour_of_the_day": {"x": list(range(24)), "y": hours.tolist()},
        "events_by_day_of_the_week": {"x": list(_WEEKDAYS), "y": weekdays.tolist()},
    }


def _date(time_s: float) -> str:
    try:
        return datetime.fromtimestamp(float(time_s), UTC).isoformat(sep=" ", timespec="seconds")
    except (OverflowError, ValueError):
        return f"{time_s:.0f}"
