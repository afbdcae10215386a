"""Every item speaks for every other with a weight: EASE (Steck 2019)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from aitk.recsys.fits.ease import ease
from aitk.recsys.fits.largest import largest_weights
from aitk.recsys.fits.log import TrainingLog
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer, multi_hot
from aitk.recsys.models.closed_form.sparse import sparse_scorer
from aitk.recsys.tasks.settings import EaseSettings


def solve_ease(settings: EaseSettings, log: TrainingLog) -> Scorer:
    """EASE, with all its weights or the largest of each item."""
    weights = ease(log.events, l2=settings.l2)
    if settings.neighbours:
        return sparse_scorer(*largest_weights(weights, keep=settings.neighbours))
    return linear_scorer(weights)


def linear_scorer(weights: np.ndarray) -> Scorer:
    """Scores by weights (items, items): how much an item (row) speaks for another (column)."""
    layer = LinearScores(len(weights), name="backbone", dtype="float32")
    layer.start_with(weights)
    return make_scorer(layer, "history", "history_weights")


@keras.saving.register_keras_serializable("aitk.recsys")
class LinearScores(keras.layers.Layer):
    """The weights of the history's items, added up.

    ``history`` and ``history_weights`` (batch, length) -> (batch, items).
    """

    def __init__(self, items: int, **kwargs):
        super().__init__(**kwargs)
        self.items = items
        self._start = None

    def start_with(self, weights: np.ndarray) -> None:
        """Be built with these weights: replacing zeros by them takes twice the memory."""
        self._start = weights

    def build(self, history_shape, history_weights_shape):
        start, self._start = self._start, None
        self.kernel = self.add_weight(
            shape=(self.items, self.items),
            initializer="zeros" if start is None else lambda *_, **__: ops.convert_to_tensor(start),
            name="kernel",
        )

    def call(self, history, history_weights):
        # One product with the whole matrix: rows gathered for a batch would be far larger.
        return ops.matmul(multi_hot(history, history_weights, items=self.items), self.kernel)

    def compute_output_shape(self, history_shape, history_weights_shape):
        return (history_shape[0], self.items)

    def get_config(self):
        return super().get_config() | {"items": self.items}
