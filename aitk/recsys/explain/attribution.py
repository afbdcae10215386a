"""Attribution: each history item's share of the score; the shares add up to it.

The shares are Shapley values, estimated over random orders of the history (Štrumbelj and Kononenko
2014): an item's share is the gain in score when the item joins those before it. In each order the
gains add up to the score's total rise over an empty history, and so do their means. For models that
add up weights of the history (EASE, item neighbours), one order is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.task import Example
from aitk.recsys.decoding.top_items import NO_ITEM, top_items
from aitk.recsys.features.assets import LogAssets
from aitk.recsys.features.batching import encode_row

ORDERS = 8
#: In longer histories, the latest items are separate and earlier ones count as one part.
MOST_PARTS = 50

#: Histories, as positions in the full one, to outputs (histories, ...).
Outputs = Callable[[Sequence[np.ndarray]], np.ndarray]


def explain_recommendation(
    fields: Mapping[str, Any], predict: Any, assets: LogAssets, *, target: str | None = None
) -> dict[str, Any]:
    """Shares of the history in the score of one item: by default the best unseen one.

    Args:
        fields: a row as read by ``predict``, or a stored one.
        predict: rows' fields -> scores (rows, items).
        target: the item to explain, by id.

    Raises:
        UsageError: the item is unknown, or the row has no history for an explanation.
    """
    example = encode_row(fields, assets)
    outputs, by_history_alone = _outputs(fields, example, predict, targets=[])
    items = example.inputs["items"]
    whole = outputs([np.arange(len(items))])[0]
    seen = np.concatenate([items, example.inputs["seen"]])
    best = int(top_items(whole[None], k=1, seen=[seen])[0][0, 0])
    if best == NO_ITEM and target is None:
        raise UsageError(
            f"the user {fields.get('user', '')!r} has already had every item",
            hint="Give the item to explain with --target",
        )
    number = best if target is None else _number_of(target, assets)
    return {
        "user": str(fields.get("user", "")),
        "prediction": None if best == NO_ITEM else assets.items[best],
        "explained": assets.items[number],
        **_titled(number, assets),
        "score": float(whole[number]),
        **by_history_alone,
    } | _shares(items, assets, lambda histories: outputs(histories)[:, number])


def explain_rating(
    fields: Mapping[str, Any], predict: Any, assets: LogAssets, *, target: str | None = None
) -> dict[str, Any]:
    """Shares of the user's ratings in the rating of one item.

    Args:
        fields: a row with a user (or a history) and the item.
        predict: rows' fields -> ratings (rows, slots).
        target: another item, by id.
    """
    example = encode_row(fields, assets)
    asked = list(example.inputs["targets"][:1]) if target is None else [_number_of(target, assets)]
    if not asked:
        raise UsageError(f"unknown item {fields.get('item')!r}: there is nothing to explain")
    outputs, by_history_alone = _outputs(fields, example, predict, targets=asked)
    items = example.inputs["items"]
    return {
        "user": str(fields.get("user", "")),
        "explained": assets.items[int(asked[0])],
        **_titled(int(asked[0]), assets),
        "prediction": round(float(outputs([np.arange(len(items))])[0, 0]), 4),
        **by_history_alone,
    } | _shares(items, assets, lambda histories: outputs(histories)[:, 0])


def history_parts(length: int) -> list[np.ndarray]:
    """Positions of a history, one part per item; the earliest of a long one are merged."""
    first = max(0, length - MOST_PARTS)
    singles = [np.array([place]) for place in range(first, length)]
    return [np.arange(first), *singles] if first else singles


def shapley_gains(
    parts: Sequence[np.ndarray],
    score: Callable[[Sequence[np.ndarray]], np.ndarray],
    *,
    orders: int = ORDERS,
) -> np.ndarray:
    """(parts,) mean gain of each part over random orders; they sum to the total gain.

    Args:
        score: histories (arrays of positions, in order) -> (histories,) scores.
    """
    rng = np.random.default_rng(0)
    gains = np.zeros(len(parts))
    for _ in range(orders):
        order = rng.permutation(len(parts))
        # Parts keep their chronological positions, independent of the order of insertion.
        joined = [
            np.sort(np.concatenate([np.zeros(0, int), *(parts[part] for part in order[:count])]))
            for count in range(len(parts) + 1)
        ]
        gains[order] += np.diff(score(joined))
    return gains / orders


def _outputs(
    fields: Mapping[str, Any], example: Example, predict: Any, *, targets: Sequence[int]
) -> tuple[Outputs, dict[str, str]]:
    """The model outputs for parts of a history, and how the user was represented.

    A model with a vector per user ignores the history of known users; in that case it is queried
    for an unknown user with this history.
    """
    items, ratings = example.inputs["items"], example.inputs["ratings"]
    if not len(items):
        raise UsageError(
            f"the user {fields.get('user', '')!r} is unknown: there is nothing to explain"
        )

    def of(user: str) -> Outputs:
        return lambda histories: predict(
            [
                {
                    "user": user,
                    "items": items[places],
                    "ratings": ratings[places],
                    "targets": targets,
                }
                for places in histories
            ]
        )

    def depends_on_history(outputs: Outputs) -> bool:
        return not np.array_equal(*outputs([np.arange(len(items)), np.arange(0)]))

    own, stranger = of(fields.get("user", "")), of("")
    if "user" not in fields or depends_on_history(own) or not depends_on_history(stranger):
        return own, {}
    return stranger, {"explained_by": "the history alone, which the user's own vector summarises"}


def _shares(
    items: np.ndarray,
    assets: LogAssets,
    score: Callable[[Sequence[np.ndarray]], np.ndarray],
) -> dict[str, Any]:
    parts = history_parts(len(items))
    gains = shapley_gains(parts, score)
    labels = [_name(int(items[part[0]]), assets) for part in parts]
    if len(parts[0]) > 1:
        labels[0] = f"{len(parts[0])} earlier items"
    return {
        "without_history": float(score([np.arange(0)])[0]),
        "between": " · ",
        "parts": [
            {"text": label, "weight": float(gain)}
            for label, gain in zip(labels, gains, strict=True)
        ],
    }


def _titled(number: int, assets: LogAssets) -> dict[str, str]:
    title = assets.titles[number] if assets.titles else None
    return {"title": title} if title else {}


def _name(number: int, assets: LogAssets) -> str:
    title = assets.titles[number] if assets.titles else None
    return title or assets.items[number]


def _number_of(target: str, assets: LogAssets) -> int:
    if target not in assets.item_numbers:
        raise unknown_name(target, assets.items, what="item")
    return assets.item_numbers[target]
