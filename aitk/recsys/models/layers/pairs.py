"""Inputs of networks over a user and an item: lists of vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.candidates import Ratings
from aitk.recsys.models.layers.item_table import ItemTable
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.models.layers.users import HistoryMean, UserVectors


def pair_inputs(ratings: Ratings | None) -> dict[str, keras.KerasTensor]:
    """The inputs of a ``CandidateModel`` backbone, with history ratings for rating prediction."""
    inputs = {
        "user": keras.Input((), dtype="int32", name="user"),
        "history": keras.Input((None,), dtype="int32", name="history"),
        "targets": keras.Input((None,), dtype="int32", name="targets"),
    }
    if ratings:
        inputs["history_weights"] = keras.Input((None,), name="history_weights")
    return inputs


def pair_vectors(
    inputs: dict[str, keras.KerasTensor],
    shape: ItemShape,
    *,
    hidden: int,
    ratings: Ratings | None,
    separate: bool = False,
) -> tuple[list[Any], Any]:
    """The vectors of both sides.

    Args:
        hidden: size of each vector.
        separate: keep an item's features as vectors separate from its embedding.

    Returns:
        For the user: a list of (batch, hidden): the user vector, the mean of the history, and with
        ratings, the mean weighted by them. For the targets: (batch, slots, width), the vectors
        concatenated.
    """
    items = ItemTable(shape.items, hidden, widths=shape.widths, separate=separate, name="items")
    seen, table = items(inputs["history"])
    used = ops.cast(ops.not_equal(inputs["history"], 0), "float32")
    means = [HistoryMean(name="history_mean")(seen, used)]
    if ratings:
        above = (inputs["history_weights"] - ratings.mean) / ratings.scale * used
        means.append(HistoryMean(name="rated_mean")(seen, above))
    means = [
        keras.layers.Dense(hidden, name=f"read_{index}")(mean) for index, mean in enumerate(means)
    ]
    read = keras.layers.Add(name="read")(means) if len(means) > 1 else means[0]
    own = UserVectors(shape.users, name="users")(inputs["user"], read)
    return [own, *means], TakeRows(name="asked")(table, inputs["targets"])


@keras.saving.register_keras_serializable("aitk.recsys")
class TakeRows(keras.layers.Layer):
    """Gather table rows: (rows, width), (batch, slots) -> (batch, slots, width)."""

    def call(self, table: Tensor, numbers: Tensor) -> Tensor:
        return ops.take(table, numbers, axis=0)

    def compute_output_shape(self, table_shape: Shape, numbers_shape: Shape) -> Shape:
        return *numbers_shape, table_shape[-1]


@keras.saving.register_keras_serializable("aitk.recsys")
class BesideEach(keras.layers.Layer):
    """Prepend a user's vector to that of every item.

    Call: (batch, width), (batch, slots, width of items) -> (batch, slots, both).
    """

    def call(self, user: Tensor, items: Tensor) -> Tensor:
        shape = ops.shape(items)
        user = ops.broadcast_to(ops.expand_dims(user, 1), (shape[0], shape[1], user.shape[-1]))
        return ops.concatenate([user, items], axis=-1)

    def compute_output_shape(self, user_shape: Shape, items_shape: Shape) -> Shape:
        return *items_shape[:-1], user_shape[-1] + items_shape[-1]


@keras.saving.register_keras_serializable("aitk.recsys")
class LastAxisGone(keras.layers.Layer):
    """Squeeze the last axis: (batch, slots, 1) -> (batch, slots)."""

    def call(self, values: Tensor) -> Tensor:
        return ops.squeeze(values, -1)

    def compute_output_shape(self, values_shape: Shape) -> Shape:
        return values_shape[:-1]


def number_for_each(x: Tensor) -> Any:
    """Features (batch, slots, width) -> (batch, slots)."""
    return LastAxisGone(name="out")(keras.layers.Dense(1, name="out_dense")(x))
