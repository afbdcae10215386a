"""From scores of all items to recommendations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.task import Batch
from aitk.recsys.data.options import RecommendOptions
from aitk.recsys.decoding.top_items import NO_ITEM, top_items
from aitk.recsys.features.assets import LogAssets


def recommend_rows(
    batch: Batch,
    outputs: np.ndarray,
    assets: LogAssets,
    *,
    top_k: int,
    options: RecommendOptions | None = None,
) -> list[dict[str, Any]]:
    """The best items of each row, with scores and titles.

    For an unknown user, the most popular items are used, and the prediction notes so.

    Args:
        batch: its context has the seen items and the query.
        outputs: (rows, items) scores.
        top_k: items per row.
        options: whether seen items may recur, and which items are allowed.
    """
    options = options or RecommendOptions()
    allowed = allowed_items(assets, options.filter)
    scores = scores_for_all(batch, outputs, assets)
    empty = batch.context["lengths"] == 0
    queries = batch.context["queries"]
    seen = [
        row if options.exclude_seen or _is_about_item(query) else row[:0]
        for row, query in zip(batch.context["seen"], queries, strict=True)
    ]
    numbers, values = top_items(scores, k=top_k, seen=seen, allowed=allowed)
    return [_answer(*row, assets) for row in zip(numbers, values, queries, empty, strict=True)]


def scores_for_all(batch: Batch, outputs: np.ndarray, assets: LogAssets) -> np.ndarray:
    """(rows, items) the model's scores; popularity for unknown users without history."""
    empty = batch.context["lengths"] == 0
    if not empty.any():
        return outputs
    return np.where(empty[:, None], assets.counts.astype(np.float32), outputs)


def allowed_items(assets: LogAssets, conditions: Sequence[str]) -> np.ndarray | None:
    """(items,) whether items fulfil every ``COLUMN=VALUE``; None without conditions.

    Tags match if any equals the value; texts and numbers must be equal to it; ``COLUMN=LOW..HIGH``
    matches a range of numbers.

    Raises:
        UsageError: a column is unknown, or a condition is malformed.
    """
    if not conditions:
        return None
    allowed = np.ones(len(assets.items), bool)
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise UsageError(
                f"cannot read {condition!r}", where="--filter", hint="Use COLUMN=VALUE"
            )
        if column not in assets.attributes.column_names:
            raise unknown_name(column, assets.attributes.column_names, what="item attribute")
        values = assets.attributes.column(column).to_pylist()
        kind = assets.kinds.get(column)
        if kind == "number":
            low, high = _bounds(column, value)
            allowed &= [each is not None and low <= each <= high for each in values]
        elif kind == "tags":
            allowed &= [each is not None and value in each for each in values]
        else:
            allowed &= [each == value for each in values]
    return allowed


def _bounds(column: str, wanted: str) -> tuple[float, float]:
    """Parse ``3``, ``3..5``, ``3..`` and ``..5`` into a lower and an upper bound."""
    low, between, high = wanted.partition("..")
    try:
        if not between:
            return float(low), float(low)
        return float(low or "-inf"), float(high or "inf")
    except ValueError as error:
        raise UsageError(
            f"{column!r} has numbers, but {wanted!r} is not a number",
            where="--filter",
            hint=f"Use {column}=3 or {column}=1..5",
        ) from error


def _is_about_item(query: Mapping[str, Any] | None) -> bool:
    """Whether the query asks for items like an item, which excludes the item itself."""
    return query is not None and "item" in query and not query.keys() & {"user", "unknown"}


def _answer(
    numbers: np.ndarray,
    values: np.ndarray,
    query: Mapping[str, Any] | None,
    empty: bool,
    assets: LogAssets,
) -> dict[str, Any]:
    recommended = [
        _described(int(number), float(value), assets)
        for number, value in zip(numbers, values, strict=True)
        if number != NO_ITEM
    ]
    prediction: dict[str, Any] = {
        "prediction": recommended[0]["item"] if recommended else None,
        "recommendations": recommended,
    }
    if note := _note(query or {}, empty, recommended):
        prediction["note"] = note
    return prediction


def _described(number: int, value: float, assets: LogAssets) -> dict[str, Any]:
    described = {"item": assets.items[number], "score": round(value, 6)}
    if assets.titles and assets.titles[number]:
        described["title"] = assets.titles[number]
    return described


def _note(query: Mapping[str, Any], empty: bool, recommended: Sequence[Any]) -> str:
    """What was unknown in the query, or why there is no prediction."""
    notes = []
    if query.get("unknown"):
        notes.append("unknown items ignored: " + ", ".join(query["unknown"]))
    if not query.get("known_item", True):
        notes.append(f"unknown item {query['item']!r}")
    if not query.get("known_user", True):
        notes.append(f"unknown user {query['user']!r}")
    if empty:
        notes.append("no history is known: the most popular items")
    if not recommended:
        notes.append("no item is left to recommend")
    return "; ".join(notes)
