"""What a trained model knows, carried over to one for another catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

#: Weights with a row for each item, and how many rows stand before the first one.
ITEM_ROWS = {"item_vectors": 1, "item_biases": 1, "item_bias": 0}
#: The same for users.
USER_ROWS = {"user_vectors": 1}
#: Weights with a row for each position, the last one for the newest item.
POSITION_ROWS = "positions"


def carry_over(
    old: keras.Model,
    fresh: keras.Model,
    *,
    items_from_old: np.ndarray,
    users_from_old: np.ndarray | None = None,
) -> list[str]:
    """Give a newly built model what an old one of the same network has learned.

    Weights are paired by their paths. Rows of items and users go where the numbers say; all other
    weights are copied where the shapes agree. What follows from the catalogue itself (counts,
    features) stays as it was built. Also works between two backbones.

    Args:
        fresh: its weights are assigned.
        items_from_old: (new items,) numbers into the old catalogue from 0, -1 for a new item.
        users_from_old: likewise for users; by default none is kept.

    Returns:
        The paths of the weights of ``fresh`` that were left as they were.
    """
    values = {variable.path: variable for variable in _learned(old)}
    left = []
    for variable in _learned(fresh):
        source = values.get(variable.path)
        if source is None:
            left.append(variable.path)
            continue
        given, value = (ops.convert_to_numpy(each) for each in (source, variable))
        if variable.name in ITEM_ROWS:
            made = _rows(given, value, items_from_old, ITEM_ROWS[variable.name])
        elif variable.name in USER_ROWS:
            numbers = users_from_old
            if numbers is None:
                numbers = np.full(len(value) - 1, -1)
            made = _rows(given, value, numbers, USER_ROWS[variable.name])
        elif variable.path.split("/")[-2] == POSITION_ROWS:
            made = value.copy()
            shared = min(len(given), len(value))
            made[len(value) - shared :] = given[len(given) - shared :]
        elif given.shape == value.shape:
            made = given
        else:
            left.append(variable.path)
            continue
        variable.assign(made)
    return left


def features_of(model: keras.Model) -> dict[str, np.ndarray]:
    """The item features that a model holds: name -> (items, width)."""
    return {
        name: ops.convert_to_numpy(matrix)[1:-1]
        for layer in model._flatten_layers(include_self=False, recursive=True)
        for name, matrix in getattr(layer, "matrices", {}).items()
    }


def _learned(model: keras.Model) -> Iterator[keras.Variable]:
    """The weights that training changes, frozen ones too, in their order."""
    for layer in model._flatten_layers(include_self=False, recursive=True):
        yield from layer._trainable_variables


def _rows(old: np.ndarray, new: np.ndarray, from_old: np.ndarray, before: int) -> np.ndarray:
    """The new rows, with those of the old that there are, and the rows before and after them."""
    made = new.copy()
    kept = np.flatnonzero(from_old >= 0)
    count = len(from_old)
    made[before + kept] = old[before + from_old[kept]]
    made[:before] = old[:before]
    after = len(new) - before - count
    if after:
        made[-after:] = old[-after:]
    return made
