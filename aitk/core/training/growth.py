"""Weights of a model for some classes moved into one for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


def copy_grown_weights(model: keras.Model, grown: keras.Model, *, added: Mapping[str, int]) -> None:
    """Fill the weights of a model for more classes from those of one for fewer.

    Both are built alike, and new classes follow the old ones: a weight that is longer along its
    last axis keeps its own fresh values for the new classes. Weights they share are left alone.

    Args:
        added: what the names of a head's layers begin with ("" for all) -> how many classes are
            new in it. An axis that grew by a multiple of it holds the classes that many times,
            once for each anchor.
    """
    known = {id(weight) for weight in model.weights}
    needed = {id(weight) for weight in grown.weights}
    old = [weight for weight in model.weights if id(weight) not in needed]
    new = [weight for weight in grown.weights if id(weight) not in known]
    for smaller, larger in zip(old, new, strict=True):
        if smaller.shape == larger.shape:
            larger.assign(smaller.value)
            continue
        classes = next(count for start, count in added.items() if _is_in(larger, start))
        larger.assign(_widened(_array(smaller), _array(larger), added=classes))


def _is_in(weight: Any, start: str) -> bool:
    """Whether it belongs to a layer whose name begins so."""
    return any(part.startswith(start) for part in weight.path.split("/"))


def _widened(old: np.ndarray, new: np.ndarray, *, added: int) -> np.ndarray:
    """The new array (..., times * more) with the old one (..., times * fewer) in its place."""
    times = (new.shape[-1] - old.shape[-1]) // added
    wide = new.reshape(*new.shape[:-1], times, -1).copy()
    wide[..., : old.shape[-1] // times] = old.reshape(*old.shape[:-1], times, -1)
    return wide.reshape(new.shape)


def _array(weight: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(weight.value)
