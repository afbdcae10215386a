"""NumPy and SciPy inference of closed-form recommenders, without Keras.

Each function takes a model's stored layer and returns the equivalent of its Keras class in this
package, with the same inputs (left-padded) and the same outputs up to rounding.

"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aitk.core.artifacts.keras_arrays import StoredLayer

#: Inputs by name to float32 scores (batch, items), or ratings (batch, slots).
Scores = Callable[[Mapping[str, np.ndarray]], np.ndarray]

#: Same values as in ``closed_form.als`` and ``closed_form.user_neighbours``.
STEPS = 24
SLACK = 1 - 1e-5
TINY = 1e-12


def open_same_for_all(layer: StoredLayer) -> Scores:
    """``popular`` and ``recent``."""
    scores = layer.array("vars/0", layer.config["items"])
    return lambda inputs: np.tile(scores, (len(inputs["history"]), 1))


def open_random_order(layer: StoredLayer) -> Scores:
    """``random``."""
    items = layer.config["items"]
    steps = layer.array("vars/0", items + 1)
    frequencies, phases = (layer.array(f"vars/{number}", items) for number in (1, 2))

    def scores(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        place = steps[inputs["history"]].sum(axis=1, keepdims=True)
        return np.sin(place * frequencies + phases)

    return scores


def open_sparse(layer: StoredLayer) -> Scores:
    """``item-knn``, ``slim``, ``content``, and ``ease`` with ``neighbours``."""
    items, count = layer.config["items"], layer.config["neighbours"]
    weights = layer.array("vars/0", items, count)
    numbers = layer.numbers("vars/1", items, count, below=max(1, items))
    supports = votes(numbers, weights)

    def scores(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return (histories(inputs, items) @ supports).toarray()

    return scores


def votes(numbers: np.ndarray, weights: np.ndarray) -> Any:
    """The score that an item of a history (row) adds to another item (column): a SciPy CSR array.

    Args:
        numbers: (items, neighbours) neighbours of each item.
        weights: (items, neighbours) their weights.
    """
    from scipy.sparse import csr_array

    items, count = numbers.shape
    places = numbers.astype(np.int32).ravel(), np.arange(items + 1) * count
    near = csr_array((weights.flatten(), *places), shape=(items, items))
    near.eliminate_zeros()
    return near.T.tocsr()


def open_linear(layer: StoredLayer) -> Scores:
    """``ease``, and ``hybrid`` with features."""
    return _linear(layer, layer.config["items"])


def _linear(layer: StoredLayer, items: int) -> Scores:
    kernel = layer.array("vars/0", items, items)
    return lambda inputs: histories(inputs, items) @ kernel


def open_blended(layer: StoredLayer) -> Scores:
    """``hybrid`` with scores."""
    items, share = layer.config["items"], layer.config["share"]
    content = layer.inside("content")
    content = StoredLayer(layer.path, content.kind, layer.config, content.arrays)
    linear, near = _linear(layer.inside("linear"), items), open_sparse(content)

    def scores(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return (1 - share) * standardised(linear(inputs)) + share * standardised(near(inputs))

    return scores


def standardised(scores: np.ndarray) -> np.ndarray:
    """Standardise rows to mean 0 and deviation 1."""
    scores = scores - scores.mean(axis=1, keepdims=True)
    return scores / (np.sqrt(np.square(scores).mean(axis=1, keepdims=True)) + 1e-6)


def open_factors(layer: StoredLayer) -> Scores:
    """``als``: equation 4 of Hu et al. (2008), by conjugate gradient."""
    items, factors = layer.config["items"], layer.config["factors"]
    alpha = np.float32(layer.config["alpha"])
    table = layer.array("vars/0", items + 1, factors)
    gram = layer.array("vars/1", factors, factors)

    def scores(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        history, weights = inputs["history"], inputs["history_weights"].astype(np.float32)
        vectors = table[history]  # (batch, length, factors)
        extra = (alpha * weights * (history > 0))[:, :, None]
        left = gram + (extra * vectors).transpose(0, 2, 1) @ vectors  # (batch, factors, factors)
        right = ((1 + extra) * vectors).sum(axis=1)  # (batch, factors)
        return conjugate_gradient(left, right, steps=min(STEPS, factors + 4)) @ table[1:].T

    return scores


def conjugate_gradient(left: np.ndarray, right: np.ndarray, *, steps: int) -> np.ndarray:
    """Same as ``aitk.recsys.models.layers.fold_in``, for (batch, size, size) and (batch, size)."""
    tiny = np.float32(1e-20)
    x, rest, way = np.zeros_like(right), right, right
    error = (rest * rest).sum(axis=-1, keepdims=True)
    for _ in range(steps):
        image = (left @ way[:, :, None])[:, :, 0]
        length = error / ((way * image).sum(axis=-1, keepdims=True) + tiny)
        x = x + length * way
        rest = rest - length * image
        next_error = (rest * rest).sum(axis=-1, keepdims=True)
        way = rest + next_error / (error + tiny) * way
        error = next_error
    return x


def open_user_neighbours(layer: StoredLayer) -> Scores:
    """``user-knn`` for choices."""
    events, likeness = user_events(layer), open_likeness(layer)
    kept = min(layer.config["neighbours"], layer.config["users"])

    def scores(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        from scipy.sparse import csr_array

        alike = likeness(inputs)  # (batch, users)
        least = np.partition(alike, -kept, axis=1)[:, -kept]
        least = np.maximum(least * np.float32(SLACK), np.float32(TINY))[:, None]
        asked = csr_array(np.where(alike >= least, alike, np.float32(0)))
        return (asked @ events).toarray()

    return scores


def user_events(layer: StoredLayer, *, numbers_from: int = 3) -> Any:
    """The training events of a layer as a SciPy CSR array (users, items).

    Args:
        numbers_from: position of the first integer weights, which come last.
    """
    from scipy.sparse import csr_array

    users, items, count = (layer.config[name] for name in ("users", "items", "events"))
    rows = layer.numbers(f"vars/{numbers_from}", count, below=max(1, users))
    columns = layer.numbers(f"vars/{numbers_from + 1}", count, below=max(1, items))
    return csr_array((layer.array("vars/0", count), (rows, columns)), shape=(users, items))


def open_likeness(layer: StoredLayer, *, numbers_from: int = 3) -> Scores:
    """Similarity of each training user to each history: (batch, users)."""
    config = layer.config
    items, similarity = config["items"], config["similarity"]
    events = user_events(layer, numbers_from=numbers_from)
    sizes = layer.array("vars/2", config["users"])
    if similarity == "jaccard":
        events.data = np.ones_like(events.data)
    elif similarity == "adjusted-cosine":
        means = layer.array("vars/1", config["users"])
        events.data = events.data - np.repeat(means, np.diff(events.indptr))
    of_items = events.T.tocsr()

    def likeness(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        compared = histories(inputs, items, adjust=similarity)
        shared = (compared @ of_items).toarray()
        if similarity == "jaccard":
            own = np.asarray(compared.sum(axis=1)).reshape(-1, 1)
            denominator = sizes + own - shared
        else:
            own = np.sqrt(np.asarray(compared.power(2).sum(axis=1)).reshape(-1, 1))
            denominator = sizes * own
        denominator = denominator + np.float32(config["shrinkage"])
        return (shared / np.maximum(denominator, np.float32(TINY))).astype(np.float32)

    return likeness


def histories(inputs: Mapping[str, np.ndarray], items: int, *, adjust: str = "") -> Any:
    """Padded histories as a SciPy CSR array (batch, items), with repeated items summed.

    Args:
        adjust: similarity for which values are adjusted: ``adjusted-cosine`` subtracts each row's
            mean, ``jaccard`` makes them ones.
    """
    from scipy.sparse import csr_array

    history, weights = inputs["history"], inputs["history_weights"].astype(np.float32)
    real = history > 0
    if adjust == "jaccard":
        weights = real.astype(np.float32)
    elif adjust == "adjusted-cosine":
        weights = (weights - history_means(weights, real)) * real
    starts = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    found = csr_array((weights[real], history[real] - 1, starts), shape=(len(history), items))
    found.sum_duplicates()
    if adjust == "jaccard":
        found.data = np.minimum(found.data, np.float32(1))
    return found


def history_means(weights: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The mean of the real values of each row: (batch, 1), 0 for an empty row."""
    sums = (weights * real).sum(axis=1, keepdims=True)
    return sums / np.maximum(real.sum(axis=1, keepdims=True), 1)
