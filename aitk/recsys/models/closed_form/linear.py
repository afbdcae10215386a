"""Item-item weights: EASE (Steck 2019); and pruning of closed-form models."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.contract.errors import UsageError
from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.blocks import largest_weights
from aitk.recsys.losses.ease import ease
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer, multi_hot
from aitk.recsys.models.closed_form.sparse import SparseScores, prune_neighbours, sparse_scorer
from aitk.recsys.tasks.settings import EaseSettings


def fit_ease(settings: EaseSettings, log: TrainingLog) -> Scorer:
    """EASE, with all weights or only the largest of each item."""
    weights = ease(log.events, l2=settings.l2)
    if settings.neighbours:
        return sparse_scorer(*largest_weights(weights, keep=settings.neighbours))
    return linear_scorer(weights)


def linear_scorer(weights: np.ndarray) -> Scorer:
    """Scores from weights (items, items): contribution of an item (row) to another (column)."""
    layer = LinearScores(len(weights), name="backbone", dtype="float32")
    layer.start_with(weights)
    return make_scorer(layer, "history", "history_weights")


def prune_closed_form(model: keras.Model, *, share: float) -> Scorer:
    """The model without the smallest ``share`` of the weights of each item.

    Raises:
        UsageError: the model has no weights between items.
    """
    backbone = model.get_layer("backbone")
    if isinstance(backbone, SparseScores):
        return prune_neighbours(model, share=share)
    if isinstance(backbone, LinearScores):
        (weights,) = backbone.get_weights()
        kept = max(1, round(len(weights) * (1 - share)))
        return sparse_scorer(*largest_weights(weights, keep=kept))
    raise UsageError(
        "has no weights between items to prune",
        where="--prune",
        hint="Try --quantize int8",
    )


@keras.saving.register_keras_serializable("aitk.recsys")
class LinearScores(keras.layers.Layer):
    """Sum of the weights of the history's items.

    ``history`` and ``history_weights`` (batch, length) -> (batch, items).
    """

    def __init__(self, items: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.items = items
        self._start: np.ndarray | None = None

    def start_with(self, weights: np.ndarray) -> None:
        """Build with these weights: assigning them later would take twice the memory."""
        self._start = weights

    def build(self, history_shape: Shape, history_weights_shape: Shape) -> None:
        start, self._start = self._start, None
        self.kernel = self.add_weight(
            shape=(self.items, self.items),
            initializer="zeros" if start is None else lambda *_, **__: ops.convert_to_tensor(start),
            name="kernel",
        )

    def call(self, history: Tensor, history_weights: Tensor) -> Tensor:
        # One product with the full matrix: gathered rows would be far larger for a batch.
        return ops.matmul(multi_hot(history, history_weights, items=self.items), self.kernel)

    def compute_output_shape(self, history_shape: Shape, history_weights_shape: Shape) -> Shape:
        return (history_shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items}
