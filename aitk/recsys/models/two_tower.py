"""A user tower and an item tower with cosine scores (Yi et al. 2019)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.dot import DotModel
from aitk.recsys.models.layers.item_table import ItemTable
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.models.layers.users import HistoryMean
from aitk.recsys.tasks.settings import TwoTowerSettings


def build_two_tower(settings: TwoTowerSettings, shape: ItemShape) -> DotModel:
    """History -> scores (batch, items); training logits as in ``DotModel``.

    Training histories must not contain the positives: the user tower would copy them. A user is
    represented by the history; an item by its embedding and features, so that an item without
    events is represented by its features alone.
    """
    shape = shape.with_features(settings.features)
    history = keras.Input((None,), dtype="int32", name="history")
    items = ItemTable(
        shape.items,
        settings.hidden,
        widths=shape.widths,
        id_dropout=settings.id_dropout,
        name="items",
    )
    seen, table = items(history)
    read = HistoryMean(name="history_mean")(seen, keras.ops.cast(history > 0, "float32"))
    user = _tower(read, settings, name="user")
    item = _tower(table, settings, name="item")
    user = Unit(1 / settings.temperature, name="user_unit")(user)
    backbone = keras.Model(
        {"history": history}, [user, Unit(name="item_unit")(item)], name="backbone"
    )
    model = DotModel(backbone, items=shape.items, negatives=settings.negatives)
    model.fill(shape)
    return model


def _tower(x: Tensor, settings: TwoTowerSettings, *, name: str) -> Tensor:
    """(rows, hidden) -> (rows, hidden), with a skip connection around the network."""
    y = keras.layers.Dropout(settings.dropout, name=f"{name}_dropout")(x)
    y = keras.layers.Dense(2 * settings.hidden, activation="relu", name=f"{name}_dense_in")(y)
    y = keras.layers.Dense(settings.hidden, name=f"{name}_dense_out")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


@keras.saving.register_keras_serializable("aitk.recsys")
class Unit(keras.layers.Layer):
    """Scale each vector (..., hidden) to a fixed length; zero stays zero."""

    def __init__(self, length: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.length = length

    def call(self, vectors: Tensor) -> Tensor:
        squares = ops.sum(ops.square(ops.cast(vectors, "float32")), axis=-1, keepdims=True)
        return vectors * ops.cast(self.length * ops.rsqrt(squares + 1e-12), vectors.dtype)

    def compute_output_shape(self, vectors_shape: Shape) -> Shape:
        return vectors_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"length": self.length}
