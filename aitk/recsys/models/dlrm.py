"""DLRM: products of all pairs of features, then a network (Naumov et al. 2019)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.candidates import CandidateModel
from aitk.recsys.models.layers.pairs import BesideEach, number_for_each, pair_inputs, pair_vectors
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import DlrmSettings


def build_dlrm(settings: DlrmSettings, shape: ItemShape) -> CandidateModel:
    """User and history -> scores (batch, items); see ``CandidateModel``.

    The features are the user, the mean of the history, the item and its attributes, one vector
    each; the network gets the products of all pairs and the user's vector.
    """
    shape = shape.with_features(settings.features)
    inputs = pair_inputs(None)
    people, items = pair_vectors(inputs, shape, hidden=settings.hidden, ratings=None, separate=True)
    user = keras.layers.Concatenate(name="user_vectors")(people)
    both = BesideEach(name="both")(user, items)  # (batch, slots, features * hidden)
    products = PairProducts(settings.hidden, name="products")(both)
    x = keras.layers.Concatenate(name="products_and_vectors")([products, both])
    for index in range(settings.layers):
        x = keras.layers.Dropout(settings.dropout, name=f"dropout_{index}")(x)
        x = keras.layers.Dense(2 * settings.hidden, activation="relu", name=f"dense_{index}")(x)
    backbone = keras.Model(inputs, number_for_each(x), name="backbone")
    model = CandidateModel(backbone, items=shape.items)
    model.fill(shape)
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class PairProducts(keras.layers.Layer):
    """The dot product of each pair of concatenated vectors.

    Call: (batch, slots, count * hidden) -> (batch, slots, count * (count - 1) / 2).
    """

    def __init__(self, hidden: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden = hidden

    def call(self, vectors: Tensor) -> Tensor:
        batch, slots, width = ops.shape(vectors)
        count = width // self.hidden
        parts = ops.reshape(vectors, (-1, count, self.hidden))
        products = ops.matmul(parts, ops.transpose(parts, (0, 2, 1)))  # (rows, count, count)
        flat = ops.reshape(products, (batch, slots, count * count))
        once = [first * count + second for first in range(count) for second in range(first)]
        return ops.take(flat, once, axis=-1)

    def compute_output_shape(self, vectors_shape: Shape) -> Shape:
        count = vectors_shape[-1] // self.hidden
        return *vectors_shape[:-1], count * (count - 1) // 2

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"hidden": self.hidden}
