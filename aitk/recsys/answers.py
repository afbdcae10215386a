"""From scores of all items to what a user is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.errors import UsageError
from aitk.core.options import unknown_name
from aitk.core.task import Batch
from aitk.recsys.assets import LogAssets
from aitk.recsys.options import RecommendAnswers
from aitk.recsys.top_items import NO_ITEM, top_items


def recommend_rows(
    batch: Batch,
    outputs: np.ndarray,
    assets: LogAssets,
    *,
    top_k: int,
    asked: RecommendAnswers | None = None,
) -> list[dict[str, Any]]:
    """The best items of each row, with their scores and titles.

    Where nothing is known of the user the most popular items stand in, and the answer says so.

    Args:
        batch: its context holds what was seen, and who was asked for.
        outputs: (rows, items) scores.
        top_k: how many items a row.
        asked: whether seen items may come again, and which items are allowed at all.
    """
    asked = asked or RecommendAnswers()
    allowed = allowed_items(assets, asked.filter)
    scores = scores_for_all(batch, outputs, assets)
    empty = batch.context["lengths"] == 0
    queries = batch.context["queries"]
    seen = [
        row if asked.exclude_seen or _is_about_item(query) else row[:0]
        for row, query in zip(batch.context["seen"], queries, strict=True)
    ]
    numbers, values = top_items(scores, k=top_k, seen=seen, allowed=allowed)
    return [_answer(*row, assets) for row in zip(numbers, values, queries, empty, strict=True)]


def scores_for_all(batch: Batch, outputs: np.ndarray, assets: LogAssets) -> np.ndarray:
    """(rows, items) the model's scores; for a user of whom nothing is known, popularity."""
    empty = batch.context["lengths"] == 0
    return np.where(empty[:, None], assets.counts.astype(np.float32), outputs)


def allowed_items(assets: LogAssets, conditions: Sequence[str]) -> np.ndarray | None:
    """(items,) which items fulfil every ``COLUMN=VALUE``; None where nothing is asked.

    Of tags any may be the value; texts and numbers must be equal to it; ``COLUMN=LOW..HIGH``
    asks for a number in between.

    Raises:
        UsageError: there is no such column, or a condition cannot be read.
    """
    if not conditions:
        return None
    allowed = np.ones(len(assets.items), bool)
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise UsageError(
                f"cannot read {condition!r}", where="--filter", hint="Write COLUMN=VALUE"
            )
        if column not in assets.attributes.column_names:
            raise unknown_name(column, assets.attributes.column_names, what="item attribute")
        allowed &= _fulfilling(assets.attributes.column(column).to_pylist(), value)
    return allowed


def _fulfilling(values: list[Any], wanted: str) -> np.ndarray:
    low, between, high = wanted.partition("..")
    if between:
        try:
            bounds = float(low or "-inf"), float(high or "inf")
        except ValueError as error:
            raise UsageError(f"cannot read the range {wanted!r}", where="--filter") from error
        return np.array(
            [isinstance(value, int | float) and bounds[0] <= value <= bounds[1] for value in values]
        )
    return np.array([wanted in _as_texts(value) for value in values])


def _as_texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value), f"{value:g}"] if isinstance(value, float) else [str(value)]


def _is_about_item(query: Mapping[str, Any] | None) -> bool:
    """The answer to "what is like this item" is never that item."""
    return bool(query) and "item" in query and "user" not in query


def _answer(
    numbers: np.ndarray,
    values: np.ndarray,
    query: Mapping[str, Any] | None,
    empty: bool,
    assets: LogAssets,
) -> dict[str, Any]:
    told = [
        _described(int(number), float(value), assets)
        for number, value in zip(numbers, values, strict=True)
        if number != NO_ITEM
    ]
    answer: dict[str, Any] = {
        "prediction": told[0]["item"] if told else None,
        "recommendations": told,
    }
    if note := _note(query or {}, empty):
        answer["note"] = note
    return answer


def _described(number: int, value: float, assets: LogAssets) -> dict[str, Any]:
    described = {"item": assets.items[number], "score": round(value, 6)}
    if assets.titles and assets.titles[number]:
        described["title"] = assets.titles[number]
    return described


def _note(query: Mapping[str, Any], empty: bool) -> str:
    """What was not known of what was asked."""
    said = []
    if query.get("unknown"):
        said.append("unknown items left out: " + ", ".join(query["unknown"]))
    if not query.get("known_item", True):
        said.append(f"unknown item {query['item']!r}")
    if "history" not in query and not query.get("known_user", True):
        said.append(f"unknown user {query['user']!r}")
    if empty:
        said.append("no history is known: the most popular items")
    return "; ".join(said)
