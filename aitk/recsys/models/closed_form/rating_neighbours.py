"""Ratings from similar items or users, as corrections of the averages."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.similarities import item_neighbours
from aitk.recsys.models.closed_form.average import RATE_INPUTS, AverageRatings
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer, multi_hot, present
from aitk.recsys.models.closed_form.user_neighbours import UserEvents, user_layer
from aitk.recsys.tasks.settings import AverageSettings, RateItemKnnSettings, RateUserKnnSettings

#: Neighbours stored per item, as a multiple of those used: a user rated few of them.
KEPT = 10
#: For items with more raters, those with the most ratings are used.
MOST_RATERS = 4096
_TINY = 1e-9


def fit_rate_item_knn(settings: RateItemKnnSettings, log: TrainingLog) -> Scorer:
    """The user's ratings of the most similar items."""
    numbers, weights = item_neighbours(
        log.events,
        similarity=settings.similarity,
        neighbours=KEPT * settings.neighbours,
        shrinkage=settings.shrinkage,
    )
    layer = RatedItems(
        *numbers.shape, neighbours=settings.neighbours, name="backbone", dtype="float32"
    )
    model = make_scorer(layer, *RATE_INPUTS)
    layer.average.fill(log.events, AverageSettings())
    layer.kernel.assign(weights)
    layer.numbers.assign(numbers)
    return model


def fit_rate_user_knn(settings: RateUserKnnSettings, log: TrainingLog) -> Scorer:
    """The ratings of an item by the most similar users."""
    layer = user_layer(Raters, settings, log)
    layer.raters = min(MOST_RATERS, int(np.bincount(log.events.indices).max()))
    model = make_scorer(layer, *RATE_INPUTS)
    layer.fill(log.events)
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class RatedItems(keras.layers.Layer):
    """Averages plus the mean residual of the most similar rated items (Koren 2010, section 2.2).

    ``history``, ``history_weights`` (batch, length), ``targets`` (batch, slots) -> (batch, slots).
    Without a rated similar item, the averages remain.
    """

    def __init__(self, items: int, kept: int, *, neighbours: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.items, self.kept, self.neighbours = items, kept, neighbours
        self.average = average_ratings(items)

    def build(self, *shapes: Shape) -> None:
        self.average.build()
        shape = (self.items, self.kept)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        self.numbers = self.add_weight(
            shape=shape, initializer="zeros", dtype="int32", trainable=False, name="numbers"
        )

    def call(self, history: Tensor, history_weights: Tensor, targets: Tensor) -> Tensor:
        predicted, left = self.average.parts(history, history_weights, targets)
        times = multi_hot(history, present(history), items=self.items)  # (batch, items)
        left = multi_hot(history, left, items=self.items) / ops.maximum(times, 1.0)
        at = ops.maximum(targets - 1, 0)
        near = ops.take(self.numbers, at, axis=0)  # (batch, slots, kept), the most similar first
        rated = take_of_rows(ops.minimum(times, 1.0), near)
        asked = rated * ops.cast(ops.cumsum(rated, axis=2) <= self.neighbours, "float32")
        return predicted + weighted_mean(
            take_of_rows(left, near), asked * ops.take(self.kernel, at, axis=0)
        )

    def compute_output_shape(
        self, history_shape: Shape, history_weights_shape: Shape, targets_shape: Shape
    ) -> Shape:
        return targets_shape

    def get_config(self) -> dict[str, Any]:
        own = {"items": self.items, "kept": self.kept, "neighbours": self.neighbours}
        return super().get_config() | own


@keras.saving.register_keras_serializable("aitk.recsys")
class Raters(UserEvents):
    """Averages plus the mean residual of the most similar raters of an item.

    ``history``, ``history_weights`` (batch, length), ``targets`` (batch, slots) -> (batch, slots).
    Without a similar user who rated the item, the averages remain.
    """

    def __init__(self, *sizes: int, raters: int = 1, **kwargs: Any):
        super().__init__(*sizes, **kwargs)
        self.raters = raters
        self.average = average_ratings(self.items)

    def build(self, *shapes: Shape) -> None:
        super().build(*shapes)
        self.average.build()
        self.starts = self.add_weight(
            shape=(self.items + 2,),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            name="starts",
        )
        self.left = self.add_weight(shape=(self.events,), initializer="zeros", name="left")

    def fill(self, events: Any) -> None:
        """Store the events by item, those of users with the most ratings first."""
        super().fill(events)
        user_biases, item_biases = self.average.fill(events, AverageSettings())
        users, items, values = (
            ops.convert_to_numpy(each)
            for each in (self.event_users, self.event_items, self.event_values)
        )
        order = np.lexsort((-np.bincount(users)[users], items))
        users, items, values = users[order], items[order], values[order]
        self.event_users.assign(users)
        self.event_items.assign(items)
        self.event_values.assign(values)
        # Target 0, an unused slot, is an item without raters.
        ends = np.cumsum(np.bincount(items, minlength=self.items))
        self.starts.assign(np.concatenate([[0, 0], ends]))
        mean = ops.convert_to_numpy(self.average.mean)
        self.left.assign(values - mean - user_biases[users] - item_biases[items])

    def call(self, history: Tensor, history_weights: Tensor, targets: Tensor) -> Tensor:
        predicted, _ = self.average.parts(history, history_weights, targets)
        likeness = ops.transpose(self.likeness(history, history_weights))  # (batch, users)
        start = ops.expand_dims(ops.take(self.starts, targets), 2)
        end = ops.expand_dims(ops.take(self.starts, targets + 1), 2)
        places = start + ops.arange(self.raters, dtype="int32")  # (batch, slots, raters)
        real = ops.cast(places < end, "float32")
        places = ops.minimum(places, self.events - 1)
        alike = take_of_rows(likeness, ops.take(self.event_users, places))
        count = min(self.neighbours, self.raters)
        weights, asked = ops.top_k(ops.maximum(alike, 0.0) * real, count)
        asked = ops.minimum(start + ops.cast(asked, "int32"), self.events - 1)
        return predicted + weighted_mean(ops.take(self.left, asked), weights)

    def compute_output_shape(  # type: ignore[override]  # Keras passes shapes by name
        self, history_shape: Shape, history_weights_shape: Shape, targets_shape: Shape
    ) -> Shape:
        return targets_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"raters": self.raters}


def average_ratings(items: int) -> AverageRatings:
    """The averages that neighbours correct."""
    shrinkage = AverageSettings().user_shrinkage
    return AverageRatings(items, user_shrinkage=shrinkage, dtype="float32", name="average")


def take_of_rows(table: Tensor, numbers: Tensor) -> Tensor:
    """Gather positions (batch, slots, count) from each row of (batch, size)."""
    rows, size = ops.shape(table)[0], table.shape[1]
    starts = ops.reshape(ops.arange(rows, dtype="int32") * size, (-1, 1, 1))
    return ops.take(ops.reshape(table, (-1,)), starts + numbers)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """(batch, slots, count) twice -> (batch, slots), 0 if all weights are."""
    total = ops.sum(weights, axis=2)
    return ops.sum(values * weights, axis=2) / ops.maximum(total, _TINY)
