"""Baselines: one item order for everyone, or a random one per user."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.averages import popularity, recent_popularity
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer
from aitk.recsys.tasks.settings import PopularSettings, RandomSettings, RecentSettings


def fit_popular(settings: PopularSettings, log: TrainingLog) -> Scorer:
    """Score items by their number of training events."""
    del settings
    return _same_for_all(popularity(log.events))


def fit_recent(settings: RecentSettings, log: TrainingLog) -> Scorer:
    """Score items by recent events; without times, by all events."""
    if log.times is None:
        return _same_for_all(popularity(log.events))
    return _same_for_all(
        recent_popularity(log.events, log.times, half_life_days=settings.half_life_days)
    )


def fit_random(settings: RandomSettings, log: TrainingLog) -> Scorer:
    """Score at random, but equally for equal histories."""
    del settings
    layer = RandomOrder(log.items, name="backbone", dtype="float32")
    model = make_scorer(layer, "history")
    rng = np.random.default_rng(log.seed)
    layer.set_weights(
        [
            np.concatenate([[0.0], rng.normal(size=log.items)]),
            rng.uniform(10, 100, size=log.items),
            rng.uniform(0, 2 * np.pi, size=log.items),
        ]
    )
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class SameForAll(keras.layers.Layer):
    """One score per item: ``history`` (batch, length) -> (batch, items)."""

    def __init__(self, items: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.items = items

    def build(self, history_shape: Shape) -> None:
        self.scores = self.add_weight(shape=(self.items,), initializer="zeros", name="scores")

    def call(self, history: Tensor) -> Tensor:
        nothing = ops.sum(ops.cast(history, "float32") * 0, axis=1, keepdims=True)  # (batch, 1)
        return nothing + self.scores

    def compute_output_shape(self, history_shape: Shape) -> Shape:
        return (history_shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items}


@keras.saving.register_keras_serializable("aitk.recsys")
class RandomOrder(keras.layers.Layer):
    """Waves of random frequency and phase, evaluated at a point derived from the history.

    ``history`` (batch, length) -> (batch, items).
    """

    def __init__(self, items: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.items = items

    def build(self, history_shape: Shape) -> None:
        self.steps = self.add_weight(shape=(self.items + 1,), initializer="zeros", name="steps")
        self.frequencies = self.add_weight(
            shape=(self.items,), initializer="zeros", name="frequencies"
        )
        self.phases = self.add_weight(shape=(self.items,), initializer="zeros", name="phases")

    def call(self, history: Tensor) -> Tensor:
        place = ops.sum(ops.take(self.steps, history), axis=1, keepdims=True)  # (batch, 1)
        return ops.sin(place * self.frequencies + self.phases)

    def compute_output_shape(self, history_shape: Shape) -> Shape:
        return (history_shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items}


def _same_for_all(scores: np.ndarray) -> Scorer:
    layer = SameForAll(len(scores), name="backbone", dtype="float32")
    model = make_scorer(layer, "history")
    layer.set_weights([scores])
    return model
