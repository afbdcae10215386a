"""Biased matrix factorisation: mean, two biases and a product of factors (Koren et al. 2009)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.models.layers.candidates import CandidateModel, Ratings
from aitk.recsys.models.layers.fold_in import combined, conjugate_gradient, products
from aitk.recsys.models.layers.pairs import pair_inputs
from aitk.recsys.models.layers.shape import ItemShape
from aitk.recsys.tasks.settings import BiasedMfSettings

STEPS = 12  # steps of the fold-in
#: Penalty for logs with at least so many ratings per user and item (harmonic mean).
PENALTY, RATINGS_EACH = 0.02, 75


def build_biased_mf(
    settings: BiasedMfSettings, shape: ItemShape, *, ratings: Ratings
) -> CandidateModel:
    """User, or history with ratings -> ratings of the targets; see ``CandidateModel``."""
    inputs = pair_inputs(ratings)
    above = (inputs["history_weights"] - ratings.mean) / ratings.scale
    l2 = usual_penalty(shape) if settings.l2 is None else settings.l2
    factors = BiasedFactors(
        shape.users, shape.items, settings.factors, l2=l2, dtype="float32", name="factors"
    )
    estimate = factors(inputs["user"], inputs["history"], above, inputs["targets"])
    if ratings.users is not None and ratings.items is not None:
        factors.start_from(ratings.users / ratings.scale, ratings.items / ratings.scale)
    backbone = keras.Model(inputs, estimate, name="backbone")
    return CandidateModel(backbone, items=shape.items, ratings=ratings)


def usual_penalty(shape: ItemShape) -> float:
    """The default penalty: larger with fewer ratings per user and item.

    The penalty is applied per rating, so users with few ratings are penalised little.
    """
    ratings = max(1.0, float(np.sum(shape.counts)))
    each = 2 * ratings / (shape.users + shape.items)
    return PENALTY * max(1.0, RATINGS_EACH / each)


@keras.saving.register_keras_serializable("aitk.recsys")
class BiasedFactors(keras.layers.Layer):
    """Biases and factors of users and items, in standardised rating units.

    Call: user (batch,), history (batch, length), its ratings, targets (batch, slots) -> (batch,
    slots). The bias and factors of an unknown user are those that best fit the history's ratings
    under the training penalty (Koren et al. 2009, equation 5, with fixed items).
    """

    def __init__(self, users: int, items: int, factors: int, *, l2: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.users, self.items, self.factors, self.l2 = users, items, factors, l2

    def build(
        self, user_shape: Shape, history_shape: Shape, above_shape: Shape, targets_shape: Shape
    ) -> None:
        self.user_vectors = self._table(self.users + 1, "user_vectors")
        self.item_vectors = self._table(self.items + 2, "item_vectors")
        self.item_biases = self.add_weight(
            shape=(self.items + 2, 1), initializer="zeros", name="item_biases"
        )

    def start_from(self, users: np.ndarray, items: np.ndarray) -> None:
        """Set the initial biases (users,) and (items,)."""
        vectors = ops.convert_to_numpy(self.user_vectors)
        vectors[1:, 0] = users
        self.user_vectors.assign(vectors)
        self.item_biases.assign(np.pad(items, 1)[:, None])

    def _table(self, rows: int, name: str) -> Tensor:
        # The first column is the bias for a user, and the constant 1 that multiplies it for an
        # item.
        normal = keras.initializers.RandomNormal(stddev=0.05)
        width = self.factors + (name == "user_vectors")
        return self.add_weight(shape=(rows, width), initializer=normal, name=name)

    def call(
        self,
        user: Tensor,
        history: Tensor,
        above: Tensor,
        targets: Tensor,
        training: bool | None = None,
    ) -> Tensor:
        vectors = ops.take(self.user_vectors, user, axis=0)  # (batch, 1 + factors)
        if not training:
            known = ops.expand_dims(user > 0, -1)
            vectors = ops.where(known, vectors, self._folded_in(history, above))
        items, biases = self._items(targets)
        if training and self.l2:
            self.add_loss(self._penalty(vectors, items, biases, targets))
        return products(items, vectors) + biases

    def _items(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """For each item, 1 and its factors, and its bias: (..., 1 + factors), (...)."""
        factors = ops.take(self.item_vectors, numbers, axis=0)
        biases = ops.take(self.item_biases, numbers, axis=0)
        return ops.concatenate([ops.ones_like(biases), factors], axis=-1), biases[..., 0]

    def _folded_in(self, history: Tensor, above: Tensor) -> Tensor:
        used = ops.cast(history > 0, self.compute_dtype)
        items, biases = self._items(history)
        items = items * ops.expand_dims(used, -1)  # (batch, length, 1 + factors)
        ridge = self.l2 * ops.sum(used, axis=1, keepdims=True)

        def apply(x: Tensor) -> Tensor:
            return combined(items, products(items, x)) + ridge * x

        right = combined(items, (above - biases) * used)
        return conjugate_gradient(apply, right, steps=STEPS)

    def _penalty(self, vectors: Tensor, items: Tensor, biases: Tensor, targets: Tensor) -> Tensor:
        used = ops.cast(targets > 0, self.compute_dtype)
        squares = ops.sum(ops.square(items), axis=-1) - 1 + ops.square(biases)
        squares = squares + ops.sum(ops.square(vectors), axis=-1, keepdims=True)
        return self.l2 * ops.sum(squares * used) / ops.maximum(ops.sum(used), 1)

    def compute_output_shape(
        self, user_shape: Shape, history_shape: Shape, above_shape: Shape, targets_shape: Shape
    ) -> Shape:
        return targets_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "users": self.users,
            "items": self.items,
            "factors": self.factors,
            "l2": self.l2,
        }
