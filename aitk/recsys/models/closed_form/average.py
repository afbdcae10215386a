"""The mean rating plus user and item biases (Koren 2010, section 2.1)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.averages import biases
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer, present
from aitk.recsys.tasks.settings import AverageSettings

RATE_INPUTS = ("history", "history_weights", "targets")


def fit_average(settings: AverageSettings, log: TrainingLog) -> Scorer:
    """Damped biases: of items from training, of users from the history."""
    layer = AverageRatings(
        log.items, user_shrinkage=settings.user_shrinkage, name="backbone", dtype="float32"
    )
    model = make_scorer(layer, *RATE_INPUTS)
    layer.fill(log.events, settings)
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class AverageRatings(keras.layers.Layer):
    """Mean plus user plus item.

    ``history`` and ``history_weights``, the ratings (batch, length), and ``targets`` (batch, slots)
    -> (batch, slots). Items without ratings and users without history have bias 0.
    """

    def __init__(self, items: int, *, user_shrinkage: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.items, self.user_shrinkage = items, user_shrinkage

    def build(self, *shapes: Shape) -> None:
        self.mean = self.add_weight(shape=(), initializer="zeros", name="mean")
        self.item_biases = self.add_weight(  # row 0, of padding, stays zero
            shape=(self.items + 1,), initializer="zeros", name="item_biases"
        )
        self.built = True

    def fill(self, events: Any, settings: AverageSettings) -> tuple[np.ndarray, np.ndarray]:
        """Compute the biases from a scipy CSR array (users, items) of ratings.

        Returns:
            The biases of users and items.
        """
        mean, users, items = biases(
            events,
            user_shrinkage=settings.user_shrinkage,
            item_shrinkage=settings.item_shrinkage,
        )
        self.mean.assign(mean)
        self.item_biases.assign(np.concatenate([[0.0], items]))
        return users, items

    def parts(
        self, history: Tensor, history_weights: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predictions (batch, slots), and residuals of the history (batch, length)."""
        real = present(history)
        left = (history_weights - self.mean - ops.take(self.item_biases, history)) * real
        count = ops.sum(real, axis=1, keepdims=True) + self.user_shrinkage
        user = ops.sum(left, axis=1, keepdims=True) / ops.maximum(count, 1e-12)  # (batch, 1)
        predicted = self.mean + user + ops.take(self.item_biases, targets)
        return predicted, (left - user) * real

    def call(self, history: Tensor, history_weights: Tensor, targets: Tensor) -> Tensor:
        return self.parts(history, history_weights, targets)[0]

    def compute_output_shape(
        self, history_shape: Shape, history_weights_shape: Shape, targets_shape: Shape
    ) -> Shape:
        return targets_shape

    def get_config(self) -> dict[str, Any]:
        own = {"items": self.items, "user_shrinkage": self.user_shrinkage}
        return super().get_config() | own
