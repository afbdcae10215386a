"""Deep & Cross Network V2: feature crosses of any degree (Wang et al. 2021)."""

from __future__ import annotations

import keras

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.candidates import CandidateModel, Ratings
from aitk.recsys.models.layers.pairs import BesideEach, number_for_each, pair_inputs, pair_vectors
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import DcnSettings


def build_dcn(
    settings: DcnSettings, shape: ItemShape, *, ratings: Ratings | None = None
) -> CandidateModel:
    """User and history -> scores, or with ``ratings`` their ratings of the targets.

    See ``CandidateModel`` for shapes. The features are the user, the mean of the history, the item
    and its attributes, one vector each. Cross layers and dense layers are parallel (section 3).

    """
    shape = shape.with_features(settings.features)
    inputs = pair_inputs(ratings)
    people, items = pair_vectors(
        inputs, shape, hidden=settings.hidden, ratings=ratings, separate=True
    )
    user = keras.layers.Concatenate(name="user_vectors")(people)
    start = BesideEach(name="both")(user, items)  # (batch, slots, width)
    crossed = start
    for index in range(settings.crosses):
        crossed = Cross(name=f"cross_{index}")(start, crossed)
    x = start
    for index in range(settings.layers):
        x = keras.layers.Dropout(settings.dropout, name=f"dropout_{index}")(x)
        x = keras.layers.Dense(2 * settings.hidden, activation="relu", name=f"dense_{index}")(x)
    x = keras.layers.Concatenate(name="crosses_and_network")([crossed, x])
    backbone = keras.Model(inputs, number_for_each(x), name="backbone")
    model = CandidateModel(backbone, items=shape.items, ratings=ratings)
    model.fill(shape)
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class Cross(keras.layers.Layer):
    """One cross layer: ``start * dense(x) + x`` (section 3.2, equation 1).

    Call: start and x, both (..., width) -> (..., width). Keras RS has it too, but names its dense
    layer differently in each model, so weights could not be matched by path.
    """

    def build(self, start_shape: Shape, x_shape: Shape) -> None:
        self.dense = keras.layers.Dense(x_shape[-1], name="dense", dtype=self.dtype_policy)
        self.dense.build(x_shape)

    def call(self, start: Tensor, x: Tensor) -> Tensor:
        return start * self.dense(x) + x

    def compute_output_shape(self, start_shape: Shape, x_shape: Shape) -> Shape:
        return x_shape
