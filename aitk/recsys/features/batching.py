"""From rows to batches: histories as inputs, and training targets.

Item numbers start at 0 in rows and at 1 in batches, where 0 is padding. Histories are left-padded,
so the newest item is always last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.task import Batch, Example
from aitk.recsys.features.assets import LogAssets

#: Maximum events per user in a batch of ``sets`` or ``ratings``; a random selection per epoch.
MOST_EVENTS = 256
#: Maximum targets per history in a batch of ``towers``.
MOST_NEXT = 16
LAST_ALONE = 0.1  # share of histories in which ``masked`` masks only the last item


def encode_row(fields: Mapping[str, Any], assets: LogAssets) -> Example:
    """One row as arrays: a stored row, or a query of ``predict``.

    Items outside the catalogue of the assets are ignored.
    """
    if "items" in fields:
        items, ratings = np.asarray(fields["items"]), np.asarray(fields["ratings"], np.float32)
        targets = np.asarray(fields["targets"])
    else:
        items, ratings = _asked_history(fields, assets)
        targets = np.array(_asked_targets(fields, assets), np.int32)
    if not assets.rated:
        ratings = np.ones(len(items), np.float32)  # recommendation uses choices only
    known = items < len(assets.items)
    inputs = {
        "user": np.array(assets.user_numbers.get(fields.get("user", ""), 0), np.int32),
        "items": items[known].astype(np.int32),
        "ratings": ratings[known],
        "seen": np.asarray(fields.get("seen", ()), np.int32),
        "targets": targets.astype(np.int32),
        "target_ratings": np.asarray(fields.get("target_ratings", ()), np.float32),
    }
    return Example(inputs, target=_query(fields, assets) if "items" not in fields else None)


def collate_rows(
    examples: Sequence[Example],
    assets: LogAssets,
    *,
    rng: np.random.Generator | None = None,
    pad_to: int | None = None,
) -> Batch:
    """Model inputs; with ``rng`` also the training targets defined by ``assets.batches``."""
    if rng is not None:
        return TRAINING_BATCHES[assets.batches](examples, assets, rng)
    items = [_latest(example.inputs["items"], assets.max_length) for example in examples]
    ratings = [_latest(example.inputs["ratings"], assets.max_length) for example in examples]
    targets = [example.inputs["targets"] for example in examples]
    inputs = _history(items, ratings, pad_to=pad_to) | {
        "user": np.array([example.inputs["user"] for example in examples]),
        # Targets unknown to training become 0: the model has no output for them.
        "targets": pad_right(
            [np.where(numbers < len(assets.items), numbers + 1, 0) for numbers in targets],
            np.int32,
        ),
    }
    context = {
        "seen": [
            np.concatenate([example.inputs["items"], example.inputs["seen"]])
            for example in examples
        ],
        "targets": targets,
        "target_ratings": [example.inputs["target_ratings"] for example in examples],
        "lengths": np.array([len(example.inputs["items"]) for example in examples]),
        "queries": [example.target for example in examples],
    }
    return Batch(inputs, context=context)


def pad_left(rows: Sequence[np.ndarray], dtype: Any, *, pad_to: int | None = None) -> np.ndarray:
    """(rows, longest): each row aligned right, padded with zeros."""
    width = max(pad_to or 0, 1, *(len(row) for row in rows))
    padded = np.zeros((len(rows), width), dtype)
    for number, row in enumerate(rows):
        if len(row):
            padded[number, -len(row) :] = row
    return padded


def pad_right(rows: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    """(rows, longest): each row aligned left, padded with zeros."""
    padded = np.zeros((len(rows), max(1, *(len(row) for row in rows), 0)), dtype)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _latest(values: np.ndarray, most: int | None) -> np.ndarray:
    return values if most is None else values[-most:]


def _history(
    items: Sequence[np.ndarray], ratings: Sequence[np.ndarray], *, pad_to: int | None = None
) -> dict[str, np.ndarray]:
    return {
        "history": pad_left([numbers + 1 for numbers in items], np.int32, pad_to=pad_to),
        "history_weights": pad_left(ratings, np.float32, pad_to=pad_to),
    }


# Queries ------------------------------------------------------------------------


def _query(fields: Mapping[str, Any], assets: LogAssets) -> dict[str, Any]:
    """What to note about a query: unknown users or items."""
    query: dict[str, Any] = {}
    if "history" in fields:
        query["unknown"] = [item for item in fields["history"] if item not in assets.item_numbers]
    if "item" in fields:
        query["item"] = fields["item"]
        query["known_item"] = fields["item"] in assets.item_numbers
    if "user" in fields:
        query["user"] = fields["user"]
        # With a history of their own, unknown users are served like others.
        query["known_user"] = "history" in fields or fields["user"] in assets.histories.numbers
    return query


def _asked_history(fields: Mapping[str, Any], assets: LogAssets) -> tuple[np.ndarray, np.ndarray]:
    """The history given in the query, else that of the user.

    For items like an item, that item is the history; its rating is predicted for an unknown user.
    """
    if "history" not in fields and "user" in fields:
        return assets.histories.of(fields["user"])
    ids = fields.get("history", [] if assets.rated else [fields.get("item", "")])
    usual = assets.rating_mean if assets.rated else 1.0
    ratings = fields.get("ratings", [usual] * len(ids))
    known = [
        (assets.item_numbers[item], rating)
        for item, rating in zip(ids, ratings, strict=True)
        if item in assets.item_numbers
    ]
    numbers, given = zip(*known, strict=True) if known else ((), ())
    return np.array(numbers, np.int32), np.array(given, np.float32)


def _asked_targets(fields: Mapping[str, Any], assets: LogAssets) -> list[int]:
    """The item whose rating is requested."""
    number = assets.item_numbers.get(fields.get("item", ""))
    return [] if number is None else [number]


# Training batches ------------------------------------------------------------------------


def _next_items(examples: Sequence[Example], assets: LogAssets, rng: np.random.Generator) -> Batch:
    """Predict each item from the preceding ones (Kang and McAuley 2018, section III-E)."""
    del rng
    longest = assets.max_length or MOST_EVENTS
    items = [example.inputs["items"][-(longest + 1) :] for example in examples]
    inputs = _history([row[:-1] for row in items], [np.ones(len(row) - 1) for row in items])
    inputs["positives"] = pad_left([row[1:] + 1 for row in items], np.int32)
    return _to_guess(inputs, assets)


def _masked_items(
    examples: Sequence[Example], assets: LogAssets, rng: np.random.Generator
) -> Batch:
    """Mask items with a mask token (Sun et al. 2019, section 3.6).

    Sometimes only the last item is masked, as in prediction.
    """
    items = [_latest(example.inputs["items"], assets.max_length) for example in examples]
    hidden = [row + 1 for row in items]
    positives = [np.zeros_like(row) for row in hidden]
    for row, answers in zip(hidden, positives, strict=True):
        masked = rng.random(len(row)) < assets.settings["mask_share"]
        if rng.random() < LAST_ALONE or not masked.any():
            masked[:] = False
            masked[-1:] = True
        answers[masked] = row[masked]
        row[masked] = len(assets.items) + 1
    inputs = {
        "history": pad_left(hidden, np.int32),
        "history_weights": pad_left([np.ones(len(row)) for row in hidden], np.float32),
        "positives": pad_left(positives, np.int32),
    }
    return _to_guess(inputs, assets)


def _sets(examples: Sequence[Example], assets: LogAssets, rng: np.random.Generator) -> Batch:
    """A user's events, each with random items that the user has not had."""
    chosen = [_some(example.inputs["items"], MOST_EVENTS, rng) for example in examples]
    return _beside_others(examples, chosen, [row[:0] for row in chosen], assets, rng)


def _parts(examples: Sequence[Example], assets: LogAssets, rng: np.random.Generator) -> Batch:
    """Predict a random half of a user's events from the other half, the history."""
    chosen, history = [], []
    for example in examples:
        items = example.inputs["items"]
        is_asked = _half(len(items), rng)
        chosen.append(items[is_asked])
        history.append(_latest(items[~is_asked], assets.max_length or MOST_EVENTS))
    return _beside_others(examples, chosen, history, assets, rng)


def _beside_others(
    examples: Sequence[Example],
    chosen: Sequence[np.ndarray],
    history: Sequence[np.ndarray],
    assets: LogAssets,
    rng: np.random.Generator,
) -> Batch:
    """Selected events, each with items that the user has not had.

    Only items with training events are drawn: others would be learned as unwanted by everyone.
    """
    count = assets.settings.get("negatives", 1)
    pool = np.flatnonzero(assets.counts)
    positives = pad_right([row + 1 for row in chosen], np.int32)
    negatives = np.zeros((*positives.shape, count), np.int32)
    for number, (row, example) in enumerate(zip(chosen, examples, strict=True)):
        negatives[number, : len(row)] = 1 + _unseen(
            (len(row), count), example.inputs["items"], pool, rng
        )
    inputs = _history(history, [np.ones(len(row)) for row in history]) | {
        "user": np.array([example.inputs["user"] for example in examples]),
        "positives": positives,
        "negatives": negatives,
    }
    return _to_guess(inputs, assets)


def _towers(examples: Sequence[Example], assets: LogAssets, rng: np.random.Generator) -> Batch:
    """Predict what came after a random time from what came before it."""
    before, after = [], []
    for example in examples:
        items = example.inputs["items"]
        cut = int(rng.integers(1, max(2, len(items))))
        before.append(_latest(items[:cut], assets.max_length))
        after.append(items[cut : cut + MOST_NEXT] + 1)
    inputs = _history(before, [np.ones(len(row)) for row in before]) | {
        "user": np.array([example.inputs["user"] for example in examples]),
        "positives": pad_right(after, np.int32),
    }
    return _to_guess(inputs, assets)


def _ratings(examples: Sequence[Example], assets: LogAssets, rng: np.random.Generator) -> Batch:
    """Predict a random half of a user's ratings from the other half, the history."""
    asked: dict[str, list[np.ndarray]] = {"items": [], "ratings": []}
    history: dict[str, list[np.ndarray]] = {"items": [], "ratings": []}
    for example in examples:
        is_asked = _half(len(example.inputs["items"]), rng)
        for name in asked:
            values = example.inputs[name]
            asked[name].append(values[is_asked])
            history[name].append(_latest(values[~is_asked], MOST_EVENTS))
    targets = pad_right([row + 1 for row in asked["items"]], np.int32)
    inputs = _history(history["items"], history["ratings"]) | {
        "user": np.array([example.inputs["user"] for example in examples]),
        "targets": targets,
    }
    return Batch(inputs, pad_right(asked["ratings"], np.float32), _used(targets))


#: Types of training batches, by name.
TRAINING_BATCHES = {
    "next": _next_items,
    "masked": _masked_items,
    "sets": _sets,
    "parts": _parts,
    "towers": _towers,
    "ratings": _ratings,
}


def _to_guess(inputs: dict[str, np.ndarray], assets: LogAssets) -> Batch:
    """The target column of the training logits: the item's own, or the first candidate."""
    positives = inputs["positives"]
    whole = assets.settings.get("loss") == "softmax"
    targets = np.maximum(positives - 1, 0) if whole else np.zeros_like(positives)
    return Batch(inputs, targets, _used(positives))


def _used(numbers: np.ndarray) -> np.ndarray:
    """1 where there is a target."""
    return (numbers > 0).astype(np.float32)


def _half(length: int, rng: np.random.Generator) -> np.ndarray:
    """(length,) bool: a random half, at least one and at most the batch limit."""
    chosen = np.zeros(length, bool)
    chosen[rng.permutation(length)[: min(MOST_EVENTS, (length + 1) // 2)]] = True
    return chosen


def _some(values: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return values if len(values) <= most else rng.permutation(values)[:most]


def _unseen(
    shape: tuple[int, int], seen: np.ndarray, pool: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Random items of ``pool`` (sorted) that are not in ``seen``; of all if none is left."""
    seen = np.unique(seen)
    places = np.searchsorted(pool, seen)
    places = places[pool[np.minimum(places, len(pool) - 1)] == seen]
    if len(places) == len(pool):
        places = places[:0]
    drawn = rng.integers(0, len(pool) - len(places), size=shape)
    # Unseen item n is preceded by the seen ones that have at most n unseen items before them.
    return pool[drawn + np.searchsorted(places - np.arange(len(places)), drawn, side="right")]
