"""Neural matrix factorisation: a dot product and a network in parallel (He et al. 2017)."""

from __future__ import annotations

import keras

from aitk.recsys.models.layers.candidates import CandidateModel, Ratings
from aitk.recsys.models.layers.pairs import BesideEach, number_for_each, pair_inputs, pair_vectors
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import NeuMfSettings


def build_neumf(
    settings: NeuMfSettings, shape: ItemShape, *, ratings: Ratings | None = None
) -> CandidateModel:
    """User and history -> scores, or with ``ratings`` their ratings of the targets.

    See ``CandidateModel`` for shapes. The product and the network have separate vectors (section
    3.4): each vector here is the concatenation of both. An unknown user is represented by the
    history.

    """
    inputs = pair_inputs(ratings)
    bare = ItemShape(shape.items, shape.users, shape.counts)
    (user, *_), item = pair_vectors(inputs, bare, hidden=2 * settings.factors, ratings=ratings)
    half = settings.factors
    product = keras.ops.expand_dims(user[:, :half], 1) * item[..., :half]
    x = BesideEach(name="both")(user[:, half:], item[..., half:])
    for index in range(settings.layers):
        x = keras.layers.Dropout(settings.dropout, name=f"dropout_{index}")(x)
        width = max(1, settings.factors // 2**index)
        x = keras.layers.Dense(width, activation="relu", name=f"dense_{index}")(x)
    x = keras.layers.Concatenate(name="product_and_network")([product, x])
    backbone = keras.Model(inputs, number_for_each(x), name="backbone")
    model = CandidateModel(backbone, items=shape.items, ratings=ratings)
    model.fill(bare)
    return model
