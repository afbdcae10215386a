"""User-based collaborative filtering with neighbours (Resnick et al. 1994)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.similarities import (
    check_ratings,
    prepared_events,
    row_means,
    sizes_of_rows,
)
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer, multi_hot, present
from aitk.recsys.tasks.settings import UserKnnSettings

#: Events summed at once: each takes one number per batch row.
BLOCK = 1 << 17
#: Tolerance for ties with the last neighbour, to allow for rounding.
SLACK = 1 - 1e-5
_TINY = 1e-12


def fit_user_knn(settings: UserKnnSettings, log: TrainingLog) -> Scorer:
    """User-based collaborative filtering: the sum of similar users' events."""
    layer = user_layer(UserNeighbours, settings, log)
    model = make_scorer(layer, "history", "history_weights")
    layer.fill(log.events)
    return model


def user_layer(kind: type[UserEvents], settings: UserKnnSettings, log: TrainingLog) -> Any:
    """A layer of the size of the log.

    Raises:
        UsageError: the similarity compares ratings, but all are equal.
    """
    prepared = prepared_events(log.events, settings.similarity)
    check_ratings(prepared, settings.similarity)
    return kind(
        log.users,
        log.items,
        prepared.nnz,
        neighbours=min(settings.neighbours, log.users),
        similarity=settings.similarity,
        shrinkage=settings.shrinkage,
        name="backbone",
        dtype="float32",
    )


@keras.saving.register_keras_serializable("aitk.recsys")
class UserEvents(keras.layers.Layer):
    """All training events, and the similarity of a history to each user's.

    Similarities are those of ``aitk.recsys.losses.similarities``, between users.
    """

    def __init__(
        self,
        users: int,
        items: int,
        events: int,
        *,
        neighbours: int,
        similarity: str,
        shrinkage: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.users, self.items, self.events = users, items, events
        self.neighbours, self.similarity, self.shrinkage = neighbours, similarity, shrinkage

    def build(self, *shapes: Shape) -> None:
        def numbers(name: str) -> Tensor:
            return self.add_weight(
                shape=(self.events,), initializer="zeros", dtype="int32", trainable=False, name=name
            )

        self.event_users, self.event_items = numbers("event_users"), numbers("event_items")
        self.event_values = self.add_weight(
            shape=(self.events,), initializer="zeros", name="event_values"
        )
        self.user_means = self.add_weight(
            shape=(self.users,), initializer="zeros", name="user_means"
        )
        self.user_sizes = self.add_weight(
            shape=(self.users,), initializer="zeros", name="user_sizes"
        )

    def fill(self, events: Any) -> None:
        """Store the events of a scipy CSR array (users, items), with duplicates summed."""
        events = events.copy()
        events.sum_duplicates()
        self.event_users.assign(np.repeat(np.arange(self.users), np.diff(events.indptr)))
        self.event_items.assign(events.indices)
        self.event_values.assign(events.data)
        self.user_means.assign(row_means(events))
        self.user_sizes.assign(
            sizes_of_rows(prepared_events(events, self.similarity), self.similarity)
        )

    def likeness(self, history: Tensor, history_weights: Tensor) -> Tensor:
        """The similarity of each user to each history: (users, batch)."""
        compared = self._compared(history, history_weights)
        hot = multi_hot(history, compared, items=self.items)  # (batch, items)
        if self.similarity == "jaccard":
            hot = ops.minimum(hot, 1.0)
        values = self.event_values
        if self.similarity == "jaccard":
            values = ops.ones_like(values)
        elif self.similarity == "adjusted-cosine":
            values = values - ops.take(self.user_means, self.event_users)
        shared = self.add_events(ops.transpose(hot), values, to="users")  # (users, batch)
        own = ops.expand_dims(self.user_sizes, 1)
        if self.similarity == "jaccard":
            denominator = own + ops.sum(hot, axis=1) - shared
        else:
            denominator = own * ops.sqrt(ops.sum(ops.square(hot), axis=1))
        return shared / ops.maximum(denominator + self.shrinkage, _TINY)

    def _compared(self, history: Tensor, history_weights: Tensor) -> Tensor:
        """The history values multiplied by a similarity: (batch, length)."""
        real = present(history)
        if self.similarity == "jaccard":
            return real
        if self.similarity == "adjusted-cosine":
            return (history_weights - history_means(history, history_weights)) * real
        return history_weights * real

    def add_events(self, rows: Tensor, values: Tensor, *, to: str) -> Tensor:
        """Aggregate ``rows`` of one side, times each event's value, to the other side.

        rows: (items, batch) to the users, or (users, batch) to the items.
        """
        source, target = self.event_items, self.event_users
        if to == "items":
            source, target = target, source
        count = self.users if to == "users" else self.items
        total = ops.zeros((count, ops.shape(rows)[1]), "float32")
        for start in range(0, self.events, BLOCK):
            part = slice(start, start + BLOCK)
            moved = ops.take(rows, source[part], axis=0) * ops.expand_dims(values[part], 1)
            places = ops.expand_dims(target[part], 1)
            total = ops.scatter_update(total, places, moved, reduction="add")
        return total

    def compute_output_shape(self, history_shape: Shape, history_weights_shape: Shape) -> Shape:
        return (history_shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "users": self.users,
            "items": self.items,
            "events": self.events,
            "neighbours": self.neighbours,
            "similarity": self.similarity,
            "shrinkage": self.shrinkage,
        }


@keras.saving.register_keras_serializable("aitk.recsys")
class UserNeighbours(UserEvents):
    """The events of the most similar users, weighted by similarity.

    ``history`` and ``history_weights`` (batch, length) -> (batch, items). Users tied with the last
    neighbour are included, so that the order of ties is irrelevant.
    """

    def call(self, history: Tensor, history_weights: Tensor) -> Tensor:
        likeness = self.likeness(history, history_weights)  # (users, batch)
        best = ops.top_k(ops.transpose(likeness), self.neighbours)[0]
        last = ops.maximum(best[:, -1] * SLACK, _TINY)  # (batch,)
        asked = ops.where(likeness >= last, likeness, 0.0)
        return ops.transpose(self.add_events(asked, self.event_values, to="items"))


def history_means(history: Tensor, history_weights: Tensor) -> Tensor:
    """The mean of each history's ratings: (batch, 1), 0 for an empty history."""
    real = present(history)
    sums = ops.sum(history_weights * real, axis=1, keepdims=True)
    return sums / ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0)
