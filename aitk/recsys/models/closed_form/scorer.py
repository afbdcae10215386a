"""Common parts of closed-form models: their class, their inputs, multi-hot histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("aitk.recsys")
class Scorer(keras.Model):
    """A functional model whose single layer, ``backbone``, was computed rather than trained."""


def make_scorer(layer: keras.layers.Layer, *names: str) -> Scorer:
    """A model of one layer, called with these inputs in this order."""
    inputs = {name: _INPUTS[name]() for name in names}
    return Scorer(inputs, layer(*inputs.values()))


def multi_hot(history: Any, weights: Any, *, items: int) -> Any:
    """Sum the weights of each row's items: (batch, length) twice -> (batch, items)."""
    rows = ops.shape(history)[0]
    # One extra position for padding, number 0, which is removed at the end.
    starts = ops.expand_dims(ops.arange(rows, dtype="int32") * (items + 1), 1)
    places = ops.reshape(starts + history, (-1, 1))
    empty = ops.zeros((rows * (items + 1),), "float32")
    # Of all scatter-add variants, only this one handles repeated items in every format.
    added = ops.scatter_update(empty, places, ops.reshape(weights, (-1,)), reduction="add")
    return ops.reshape(added, (rows, items + 1))[:, 1:]


def present(history: Any) -> Any:
    """1.0 for items, 0.0 for padding: (batch, length)."""
    return ops.cast(history > 0, "float32")


_INPUTS: dict[str, Callable[[], Any]] = {
    "history": lambda: keras.Input((None,), dtype="int32", name="history"),
    "history_weights": lambda: keras.Input((None,), dtype="float32", name="history_weights"),
    "targets": lambda: keras.Input((None,), dtype="int32", name="targets"),
}
