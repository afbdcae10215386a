"""Items for a user, best first. Part of the scripts of bundles; NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.recsys.edge.questions import known_history, numbers_of


def encode(
    fields: Mapping[str, Any], settings: Mapping[str, Any], tables: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """``history`` (1, length), items counted from 1, their weights; ``user``, ``targets``."""
    items = known_history(fields, settings, tables)
    latest = items if settings["max_length"] is None else items[-settings["max_length"] :]
    history = np.zeros((1, max(1, len(latest))), np.int32)
    history[0, history.shape[1] - len(latest) :] = latest + 1
    user = numbers_of(settings, "users").get(fields.get("user", ""), -1) + 1
    target = numbers_of(settings, "items").get(fields.get("item", ""), -1) + 1
    return {
        "history": history,
        "history_weights": (history > 0).astype(np.float32),
        "user": np.array([user], np.int32),
        "targets": np.array([[target]], np.int32),
    }


def decode(
    outputs: np.ndarray,
    fields: Mapping[str, Any],
    settings: Mapping[str, Any],
    tables: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """What ``aitk recsys predict`` gives: ``recommendations`` without the items that are known.

    Args:
        outputs: (1, items) scores.
    """
    seen = known_history(fields, settings, tables)
    scores = outputs[0] if len(seen) else tables["counts"].astype(np.float32)
    scores = np.fmax(scores, -np.inf)  # NaN is never picked
    scores[seen] = -np.inf
    best = np.argsort(-scores, kind="stable")[: settings["top_k"]]
    items, titles = settings["items"], settings["titles"]
    recommended: list[dict[str, Any]] = []
    for number in best[scores[best] > -np.inf]:
        recommended.append({"item": items[number], "score": round(float(scores[number]), 6)})
        if titles and titles[number]:
            recommended[-1]["title"] = titles[number]
    found = {
        "prediction": recommended[0]["item"] if recommended else None,
        "recommendations": recommended,
    }
    note = _note(fields, settings, seen, recommended)
    return found | ({"note": note} if note else {})


def _note(
    fields: Mapping[str, Any],
    settings: Mapping[str, Any],
    seen: np.ndarray,
    recommended: list[dict[str, Any]],
) -> str:
    """Notes on unknown users and items of the query."""
    items, notes = numbers_of(settings, "items"), []
    if unknown := [item for item in fields.get("history", ()) if item not in items]:
        notes.append("unknown items ignored: " + ", ".join(unknown))
    if "item" in fields and fields["item"] not in items:
        notes.append(f"unknown item {fields['item']!r}")
    known = numbers_of(settings, "histories")
    if "user" in fields and "history" not in fields and fields["user"] not in known:
        notes.append(f"unknown user {fields['user']!r}")
    if not len(seen):
        notes.append("no history is known: the most popular items")
    if not recommended:
        notes.append("no item is left to recommend")
    return "; ".join(notes)
