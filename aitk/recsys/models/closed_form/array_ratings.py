"""NumPy inference of closed-form rating models, and its functions by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from aitk.core.artifacts.keras_arrays import StoredLayer
from aitk.recsys.models.closed_form.array_scores import (
    Scores,
    histories,
    open_blended,
    open_factors,
    open_likeness,
    open_linear,
    open_random_order,
    open_same_for_all,
    open_sparse,
    open_user_neighbours,
)
from aitk.recsys.tasks.settings import AverageSettings

Inputs = Mapping[str, np.ndarray]
#: Ratings (batch, slots), and the residuals of the history (batch, length).
Parts = Callable[[Inputs], tuple[np.ndarray, np.ndarray]]
_TINY = np.float32(1e-9)


def open_arrays(layer: StoredLayer) -> Scores | None:
    """The function of a stored layer; None for classes from other packages."""
    package, _, name = layer.kind.partition(">")
    opener = OPENERS.get(name) if package == "aitk.recsys" else None
    if opener is None:
        return None
    scores = opener(layer)
    return lambda inputs: np.asarray(scores(inputs), np.float32)


def open_average(layer: StoredLayer) -> Scores:
    """``average``."""
    shrinkage = layer.config["user_shrinkage"]
    parts = average_parts(layer, layer.config["items"], user_shrinkage=shrinkage)
    return lambda inputs: parts(inputs)[0]


def average_parts(layer: StoredLayer, items: int, *, user_shrinkage: float) -> Parts:
    """Same as ``AverageRatings.parts``."""
    mean, biases = layer.array("vars/0"), layer.array("vars/1", items + 1)

    def parts(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        history, weights = inputs["history"], inputs["history_weights"].astype(np.float32)
        real = (history > 0).astype(np.float32)
        left = (weights - mean - biases[history]) * real
        count = real.sum(axis=1, keepdims=True) + np.float32(user_shrinkage)
        user = left.sum(axis=1, keepdims=True) / np.maximum(count, np.float32(1e-12))
        return mean + user + biases[inputs["targets"]], (left - user) * real

    return parts


def open_rated_items(layer: StoredLayer) -> Scores:
    """``item-knn`` for ratings."""
    items, kept, most = (layer.config[name] for name in ("items", "kept", "neighbours"))
    weights = layer.array("vars/0", items, kept)
    numbers = layer.numbers("vars/1", items, kept, below=max(1, items))
    average = average_parts(
        layer.inside("average"), items, user_shrinkage=AverageSettings().user_shrinkage
    )

    def ratings(inputs: Inputs) -> np.ndarray:
        predicted, left = average(inputs)
        ones = np.ones_like(left)
        times = histories({"history": inputs["history"], "history_weights": ones}, items).toarray()
        sums = histories({"history": inputs["history"], "history_weights": left}, items).toarray()
        at = np.maximum(inputs["targets"] - 1, 0)
        near = numbers[at]  # (batch, slots, kept), the most similar first
        rows = np.arange(len(near))[:, None, None]
        rated = np.minimum(times, 1)[rows, near]
        asked = rated * (np.cumsum(rated, axis=2) <= most)
        values = (sums / np.maximum(times, 1))[rows, near]
        return predicted + weighted_mean(values, asked * weights[at])

    return ratings


def open_raters(layer: StoredLayer) -> Scores:
    """``user-knn`` for ratings."""
    items, events, raters = (layer.config[name] for name in ("items", "events", "raters"))
    users = layer.numbers("vars/4", events, below=max(1, layer.config["users"]))
    starts = layer.numbers("vars/6", items + 2, below=events + 1).astype(np.int64)
    left = layer.array("vars/3", events)
    likeness = open_likeness(layer, numbers_from=4)
    average = average_parts(
        layer.inside("average"), items, user_shrinkage=AverageSettings().user_shrinkage
    )
    count = min(layer.config["neighbours"], raters)

    def ratings(inputs: Inputs) -> np.ndarray:
        predicted, _ = average(inputs)
        alike = likeness(inputs)  # (batch, users)
        start, end = (starts[inputs["targets"] + more][:, :, None] for more in (0, 1))
        longest = max(1, min(raters, int((end - start).max(initial=0))))
        places = start + np.arange(longest)  # (batch, slots, raters)
        real = places < end
        places = np.minimum(places, events - 1)
        found = np.maximum(alike[np.arange(len(places))[:, None, None], users[places]], 0) * real
        best = np.argsort(-found, axis=2, kind="stable")[:, :, :count]
        weights = np.take_along_axis(found, best, axis=2)
        return predicted + weighted_mean(left[np.minimum(start + best, events - 1)], weights)

    return ratings


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(batch, slots, count) twice -> (batch, slots), 0 if all weights are."""
    return (values * weights).sum(axis=2) / np.maximum(weights.sum(axis=2), _TINY)


#: Class of a layer -> the equivalent function.
OPENERS: Mapping[str, Callable[[StoredLayer], Scores]] = {
    "SameForAll": open_same_for_all,
    "RandomOrder": open_random_order,
    "SparseScores": open_sparse,
    "LinearScores": open_linear,
    "BlendedScores": open_blended,
    "FactorScores": open_factors,
    "UserNeighbours": open_user_neighbours,
    "AverageRatings": open_average,
    "RatedItems": open_rated_items,
    "Raters": open_raters,
}
