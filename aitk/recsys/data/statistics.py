"""Statistics of a split log, for ``dataset.json`` and the report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from aitk.core.contract.rows import SPLITS
from aitk.recsys.data.attributes import Attributes
from aitk.recsys.data.events import Events, present
from aitk.recsys.data.options import LogReading
from aitk.recsys.data.protocols import TEST, TRAIN, VALIDATION, looked_at

#: Shares of the items, most popular first.
TOP_SHARES = (0.01, 0.1, 0.2)
_BARS, _MOST_RATINGS, _CURVE_STEPS = 30, 20, 20
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_DAY_S, _HOUR_S, _YEAR_S = 86_400, 3_600, 365.2425 * 86_400
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


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
        "popularity": describe_popularity(np.bincount(events.items[training], minlength=n_items)),
    }
    charts = {
        "training_events_of_a_user": _histogram(history_sizes(events, training)),
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
    """Inequality of the counts: 0 for equal counts, near 1 if one has all (Gini 1912)."""
    ordered = np.sort(np.asarray(counts, np.float64))
    n, total = len(ordered), ordered.sum()
    if not total:
        return 0.0
    return float(2 * (np.arange(1, n + 1) @ ordered) / (n * total) - (n + 1) / n)


def popularity_curve(counts: np.ndarray) -> dict[str, list[float]]:
    """The percentage of events that the most popular percentage of items have."""
    ordered = np.sort(counts)[::-1]
    percents = np.linspace(100 / _CURVE_STEPS, 100, _CURVE_STEPS)
    tops = np.ceil(percents / 100 * len(ordered) - 1e-9).astype(int)
    covered = np.cumsum(ordered)[tops - 1] / max(ordered.sum(), 1)
    return {"x": percents.tolist(), "y": (100 * covered).round(2).tolist()}


def _count_splits(events: Events, codes: np.ndarray) -> dict[str, dict[str, int]]:
    """Rows, events, users and items per split, and those unknown to training."""
    training = codes == TRAIN
    known_items, known_users = events.items[training], events.users[training]
    counts = {}
    for split in (TRAIN, VALIDATION, TEST):
        users = present(events.users[codes == split])
        items = present(events.items[codes == split])
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
    """The number of history items visible in a row, by split."""
    described: dict[str, Mapping[str, float]] = {}
    for split, shown in looked_at(reading).items():
        users = present(events.users[codes == split])
        if len(users):
            which = np.isin(codes, shown)
            sizes = np.bincount(events.users[which], minlength=len(events.user_ids))[users]
            described[SPLITS[split]] = _describe(sizes)
    return described


def describe_popularity(counts: np.ndarray) -> dict[str, float]:
    """Event shares of the most popular items, and the Gini coefficient."""
    ordered, total = np.sort(counts)[::-1], max(int(counts.sum()), 1)
    shares = {
        f"top_{share:.0%}".replace("%", "_percent"): round(
            float(ordered[: int(np.ceil(share * len(ordered)))].sum() / total), 4
        )
        for share in TOP_SHARES
    }
    return shares | {"gini": round(gini(counts), 4)}


def history_sizes(events: Events, which: np.ndarray) -> np.ndarray:
    """Number of events of each user with any, (users,)."""
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
    """Counts by size; the largest 1% are clipped."""
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
    """Events over the log's time span, hours of the day and days of the week (UTC)."""
    span_s = float(np.ptp(times))
    if span_s >= 2 * _YEAR_S:
        name, places = "events_by_year", 1970 + times / _YEAR_S
    else:
        name, places = "events_by_day_since_the_first", (times - times.min()) / _DAY_S
    counts, edges = np.histogram(places, bins=_BARS)
    days = (times // _DAY_S).astype(np.int64)
    hours = np.bincount((times % _DAY_S // _HOUR_S).astype(np.int64), minlength=24)
    weekdays = np.bincount((days + 3) % 7, minlength=7)  # 1970 started on a Thursday
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
