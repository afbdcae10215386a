"""From a log to assets, and from new events to extended assets."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import as_dict
from aitk.core.contract.rows import Refusal, Row
from aitk.recsys.data.options import LogReading
from aitk.recsys.data.tables import HISTORY_TABLE, ITEM_TABLE, read_catalogue
from aitk.recsys.features.assets import LogAssets, check_items, read_histories
from aitk.recsys.tasks.settings import AverageSettings

if TYPE_CHECKING:
    import pyarrow

    from aitk.core.artifacts.pretrained import Pretrained

#: Users with new events whose last one is held out, to evaluate the update.
HELD_OUT_SHARE = 0.2
ROWS_AT_ONCE = 4096


def learn_assets(
    rows: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    settings: Any,
    *,
    model: str,
    batches: str,
    start: Pretrained | None,
    tables: Path | None,
) -> LogAssets:
    """Assets from the catalogue and the training rows.

    Args:
        rows: training rows.
        model: its name, and its type of training batches; empty for closed-form models.
        start: pretrained weights, whose catalogue (``start.tokenizer``) is matched by item id.
        tables: the folder written by ``group``.
    """
    if tables is None or not tables.is_dir():
        raise ArtifactError("its tables are missing", where=str(tables), hint="Prepare it again")
    attributes, kinds = read_catalogue(tables / ITEM_TABLE)
    users, counts = [], np.zeros(len(attributes), np.int64)
    ratings = RatingSums()
    for row in in_blocks(rows):
        users.append(row["user"])
        check_items(row["items"], len(counts), where=str(tables))
        counts += np.bincount(row["items"], minlength=len(counts))
        ratings.add(np.asarray(row["ratings"]))
    values = as_dict(settings)
    assets = LogAssets(
        attributes=attributes,
        kinds=kinds,
        users=tuple(users),
        histories=read_histories(tables / HISTORY_TABLE, items=len(attributes)),
        counts=counts,
        protocol=summary.get("protocol", ""),
        sampled_negatives=summary.get("sampled_negatives", 0),
        max_length=values.get("max_length"),
        rating_range=ratings.range,
        rating_mean=ratings.mean,
        rating_deviation=ratings.deviation,
        model=model,
        settings=values,
        batches=batches,
    )
    if assets.rated:
        assets = dataclasses.replace(assets, rating_biases=_learn_biases(rows, assets))
    if start is not None and start.tokenizer is not None:
        assets = dataclasses.replace(assets, renumbered=renumber(start.tokenizer, assets.items))
    return assets


def _learn_biases(
    rows: Sequence[Mapping[str, Any]], assets: LogAssets
) -> tuple[np.ndarray, np.ndarray]:
    """Damped user and item deviations from the mean, as in the model ``average``."""
    settings, mean = AverageSettings(), assets.rating_mean
    sums = np.zeros(len(assets.items))
    for row in in_blocks(rows):
        above = np.asarray(row["ratings"], float) - mean
        sums += np.bincount(row["items"], weights=above, minlength=len(sums))
    of_items = sums / (assets.counts + settings.item_shrinkage)
    of_users = [
        (np.asarray(row["ratings"], float) - mean - of_items[row["items"]]).sum()
        / (len(row["items"]) + settings.user_shrinkage)
        for row in in_blocks(rows)
    ]
    return np.array(of_users), of_items


class RatingSums:
    """Mean, deviation and range of ratings, accumulated in parts."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, 0.0, 0.0
        self._low, self._high = np.inf, -np.inf

    def add(self, ratings: np.ndarray) -> None:
        """Add some ratings."""
        if len(ratings):
            exact = ratings.astype(np.float64)
            self._count += len(exact)
            self._sum += exact.sum()
            self._squares += (exact**2).sum()
            self._low, self._high = min(self._low, exact.min()), max(self._high, exact.max())

    @property
    def mean(self) -> float:
        return float(self._sum / max(1, self._count))

    @property
    def deviation(self) -> float:
        """Standard deviation; 1 if all ratings are equal, so that division is safe."""
        variance = self._squares / max(1, self._count) - self.mean**2
        return float(np.sqrt(variance)) if variance > 1e-9 else 1.0

    @property
    def range(self) -> tuple[float, float]:
        return (float(self._low), float(self._high)) if self._count else (1.0, 1.0)


def renumber(old: Sequence[str], new: Sequence[str]) -> np.ndarray:
    """(new items,) item numbers in the old catalogue, -1 for new items."""
    numbers = {item: number for number, item in enumerate(old)}
    return np.array([numbers.get(item, -1) for item in new], np.int64)


def in_blocks(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Iterate over every row in order, reading in blocks."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield from rows[start : start + ROWS_AT_ONCE]


# New events ------------------------------------------------------------------------------


def extend_assets(
    events: Iterator[Row | Refusal],
    assets: LogAssets,
    known: Sequence[Mapping[str, Any]],
    *,
    reading: LogReading,
) -> tuple[LogAssets, Iterator[Row | Refusal]]:
    """Extend assets with new events: new items and users, and one row per affected user.

    A user's row has all training events, new ones last. For some users (by a hash of their id) the
    last new event is held out.

    Args:
        events: events of the new files, from ``read_events``.
        known: training rows so far; the last of several rows of a user counts.
        reading: how the first log was cleaned: low ratings and unknown items are excluded.
    """
    refused, new = _gather(events, assets, reading)
    if not new:
        return assets, iter(refused)
    earlier = {row["user"]: row for row in in_blocks(known) if row["user"] in new}
    numbers = dict(assets.item_numbers)
    for items, _, _ in new.values():
        for item in items:
            numbers.setdefault(item, len(numbers))
    rows, histories = [], {}
    learned: dict[str, list[Any]] = {"items": [], "ratings": []}
    for user, (items, ratings, times) in new.items():
        added = [numbers[item] for item in items]
        before, before_ratings = assets.histories.of(user)
        own = _rows_of(user, earlier.get(user), added, ratings, times, had=before.tolist())
        rows += own
        kept = len(added) - sum(len(row.fields["targets"]) for row in own)
        learned["items"] += added[:kept]
        learned["ratings"] += ratings[:kept]
        histories[user] = (
            np.concatenate([before, added]),
            np.concatenate([before_ratings, ratings]),
        )
    counts = np.pad(assets.counts, (0, len(numbers) - len(assets.counts)))
    np.add.at(counts, np.array(learned["items"], int), 1)
    every_rating = [*assets.rating_range, *learned["ratings"]]
    known_users = set(assets.users)
    grown = dataclasses.replace(
        assets,
        attributes=_grown_table(assets.attributes, list(numbers)[len(assets.items) :]),
        users=(*assets.users, *(user for user in new if user not in known_users)),
        histories=assets.histories.with_events(histories),
        counts=counts,
        # Mean and deviation stay fixed: the weights are in these units.
        rating_range=(min(every_rating), max(every_rating)),
    )
    return grown, iter([*refused, *rows])


def _gather(
    events: Iterator[Row | Refusal], assets: LogAssets, reading: LogReading
) -> tuple[list[Refusal], dict[str, tuple[list[str], list[float], list[int]]]]:
    """Group new events by user in time order; refuse those that cleaning would remove."""
    refused: list[Refusal] = []
    gathered: dict[str, list[tuple[int, int, str, float]]] = {}
    had: dict[str, set[str]] = {}
    for event in events:
        if isinstance(event, Refusal):
            refused.append(event)
            continue
        user, item = event.fields["user"], event.fields["item"]
        if user not in had:
            had[user] = {assets.items[number] for number in assets.histories.of(user)[0]}
        rating, time = event.fields.get("rating"), event.fields.get("time")
        reason = None
        if item in had[user] and reading.duplicates != "keep-all":
            reason = f"user {user!r} already has the item {item!r}"
        elif reading.unknown_items == "drop" and item not in assets.item_numbers:
            reason = f"the item {item!r} is unknown"
        elif reading.min_rating is not None and rating is not None and rating < reading.min_rating:
            reason = f"the rating {rating:g} is below the minimum of {reading.min_rating:g}"
        if reason:
            refused.append(Refusal(event.file, event.line, reason))
            continue
        own = gathered.setdefault(user, [])
        # Without times, events are numbered consecutively.
        time = len(had[user]) if time is None else int(time)
        own.append((time, len(own), item, 1.0 if rating is None else rating))
        had[user].add(item)
    new = {}
    for user, own in gathered.items():
        own.sort()
        new[user] = ([e[2] for e in own], [e[3] for e in own], [e[0] for e in own])
    return refused, new


def _rows_of(
    user: str,
    earlier: Mapping[str, Any] | None,
    items: list[int],
    ratings: list[float],
    times: list[int],
    *,
    had: list[int],
) -> list[Row]:
    """The user's training row with the new events, and possibly a held-out row for the last one.

    Args:
        had: all items of the user so far, including those held out earlier.
    """
    columns: dict[str, list[Any]] = {"items": items, "ratings": ratings, "times": times}
    known: dict[str, list[Any]] = {}
    if earlier is not None:
        known = {name: np.asarray(earlier[name]).tolist() for name in columns}
    every = {name: [*known.get(name, []), *column] for name, column in columns.items()}
    position = int.from_bytes(hashlib.blake2b(user.encode(), digest_size=8).digest(), "big")
    nothing: dict[str, Any] = {"seen": [], "targets": [], "target_ratings": []}
    if position / 2**64 >= HELD_OUT_SHARE or len(every["items"]) < 2:
        return [Row({"user": user} | every | nothing, "", 0, split="train")]
    shorter = {name: column[:-1] for name, column in every.items()}
    asked = {
        "seen": sorted(set(had).difference(shorter["items"])),
        "targets": every["items"][-1:],
        "target_ratings": every["ratings"][-1:],
    }
    return [
        Row({"user": user} | shorter | nothing, "", 0, split="train"),
        Row({"user": user} | shorter | nothing | asked, "", 0, split="test"),
    ]


def _grown_table(table: pyarrow.Table, items: list[str]) -> pyarrow.Table:
    """The catalogue with further items that have only ids."""
    import pyarrow

    if not items:
        return table
    columns = {
        name: pyarrow.nulls(len(items), table.schema.field(name).type)
        for name in table.column_names
    }
    columns["item"] = pyarrow.array(items, table.schema.field("item").type)
    return pyarrow.concat_tables([table, pyarrow.table(columns, schema=table.schema)])
