"""Transfer of trained weights to a model for another catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

#: Weights with one row per item, and the number of rows before the first item.
ITEM_ROWS = {"item_vectors": 1, "item_biases": 1, "item_bias": 0}
#: The same for users.
USER_ROWS = {"user_vectors": 1}
#: Weights with one row per position, the last one for the newest item.
POSITION_ROWS = "positions"


def carry_over(
    old: keras.Model,
    fresh: keras.Model,
    *,
    items_from_old: np.ndarray,
    users_from_old: np.ndarray | None = None,
) -> list[str]:
    """Copy the weights of an old model into a new one of the same architecture.

    Weights are matched by path. Rows of items and users are mapped by their numbers; other weights
    are copied if the shapes agree. Constants of the catalogue (counts, features) stay as built.
    This also works between two backbones.

    Args:
        fresh: the new model, whose weights are assigned.
        items_from_old: (new items,) numbers in the old catalogue from 0, -1 for new items.
        users_from_old: likewise for users; by default none is copied.

    Returns:
        The paths of the weights of ``fresh`` that were not assigned.
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
    """The item features stored in a model: name -> (items, width)."""
    return {
        name: ops.convert_to_numpy(matrix)[1:-1]
        for layer in model._flatten_layers(include_self=False, recursive=True)
        for name, matrix in getattr(layer, "matrices", {}).items()
    }


def _learned(model: keras.Model) -> Iterator[keras.Variable]:
    """The trainable weights, including frozen ones, in order."""
    for layer in model._flatten_layers(include_self=False, recursive=True):
        yield from layer._trainable_variables


def _rows(old: np.ndarray, new: np.ndarray, from_old: np.ndarray, before: int) -> np.ndarray:
    """The new rows, filled with matching old ones, and the rows before and after them."""
    made = new.copy()
    kept = np.flatnonzero(from_old >= 0)
    count = len(from_old)
    made[before + kept] = old[before + from_old[kept]]
    made[:before] = old[:before]
    after = len(new) - before - count
    if after:
        made[-after:] = old[-after:]
    return made
