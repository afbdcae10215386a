"""User representations: a learned vector if there is one, and the history."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aitk.core.layers import Shape, Tensor


@keras.saving.register_keras_serializable("aitk.recsys")
class HistoryMean(keras.layers.Layer):
    """The weighted sum of a history's vectors, scaled by its weights; zero for an empty history.

    Call: vectors (batch, length, hidden), zero for padding, and weights (batch, length), zero for
    padding -> (batch, hidden). The sum is divided by the root of the sum of squared weights: long
    histories have larger vectors, and weights may be negative.
    """

    def call(self, vectors: Tensor, weights: Tensor) -> Tensor:
        weights = ops.cast(weights, vectors.dtype)
        total = ops.sum(vectors * ops.expand_dims(weights, -1), axis=1)
        squares = ops.sum(ops.square(weights), axis=1, keepdims=True)
        return total * ops.rsqrt(squares + 1)

    def compute_output_shape(self, vectors_shape: Shape, weights_shape: Shape) -> Shape:
        return vectors_shape[0], vectors_shape[2]


@keras.saving.register_keras_serializable("aitk.recsys")
class UserVectors(keras.layers.Layer):
    """A vector computed from the history, plus a learned one for known users.

    Call: user (batch,), read (batch, hidden) -> (batch, hidden). In training, a share of the users
    is treated as unknown.
    """

    def __init__(self, users: int, *, unknown: float = 0.2, **kwargs: Any):
        super().__init__(**kwargs)
        self.users, self.unknown = users, unknown
        self.seeds = keras.random.SeedGenerator()

    def build(self, user_shape: Shape, read_shape: Shape) -> None:
        self.user_vectors = self.add_weight(
            shape=(self.users + 1, read_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.05),
            name="user_vectors",
        )

    def call(self, user: Tensor, read: Tensor, training: bool | None = None) -> Tensor:
        known = user > 0
        if training:
            chance = keras.random.uniform(ops.shape(user), seed=self.seeds)
            known = ops.logical_and(known, chance >= self.unknown)
        own = ops.cast(ops.take(self.user_vectors, user, axis=0), read.dtype)
        return read + ops.where(ops.expand_dims(known, -1), own, 0)

    def compute_output_shape(self, user_shape: Shape, read_shape: Shape) -> Shape:
        return read_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"users": self.users, "unknown": self.unknown}
