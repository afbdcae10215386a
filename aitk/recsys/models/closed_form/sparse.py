"""Item neighbours (Sarwar et al. 2001), SLIM and content: sparse weights per item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.hidden import choose
from aitk.recsys.losses.similarities import content_neighbours, item_neighbours
from aitk.recsys.losses.slim import slim, usual_l2
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer, multi_hot
from aitk.recsys.tasks.settings import ContentSettings, ItemKnnSettings, SlimSettings

#: Neighbours gathered at once: few, since each takes a copy of the batch's histories.
BLOCK = 8
#: Candidate shrinkages, default first. At the largest, similarity becomes co-occurrence.
SHRINKAGES = (0.0, 10.0, 100.0, 1000.0, 10_000.0)


def fit_item_knn(settings: ItemKnnSettings, log: TrainingLog) -> Scorer:
    """Item-based collaborative filtering: the sum over similar items of the history."""

    def neighbours(events: Any, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
        return item_neighbours(
            events,
            similarity=settings.similarity,
            neighbours=settings.neighbours,
            shrinkage=shrinkage,
        )

    def fit(shrinkage: float, events: Any) -> Callable[[Any], np.ndarray]:
        similar = neighbours_matrix(*neighbours(events, shrinkage)).T
        return lambda histories: (histories @ similar).toarray()

    shrinkage = settings.shrinkage
    if shrinkage is None:
        shrinkage = choose(SHRINKAGES, log, fit)
    return sparse_scorer(*neighbours(log.events, shrinkage))


def fit_slim(settings: SlimSettings, log: TrainingLog) -> Scorer:
    """SLIM among each item's most similar items."""
    l2 = usual_l2(log.events.nnz) if settings.l2 is None else settings.l2
    numbers, weights = slim(log.events, l1=settings.l1, l2=l2, neighbours=settings.neighbours)
    return sparse_scorer(numbers, weights)


def sparse_scorer(numbers: np.ndarray, weights: np.ndarray) -> Scorer:
    """Scores from each item's neighbours (items, neighbours), from 0, and their weights."""
    layer = SparseScores(*numbers.shape, name="backbone", dtype="float32")
    model = make_scorer(layer, "history", "history_weights")
    layer.set_weights([weights, numbers])
    return model


def prune_neighbours(model: Scorer, *, share: float) -> Scorer:
    """The model without the weakest ``share`` of each item's neighbours; at least one is kept."""
    weights, numbers = model.get_layer("backbone").get_weights()
    kept = max(1, round(weights.shape[1] * (1 - share)))
    order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :kept]
    return sparse_scorer(
        np.take_along_axis(numbers, order, axis=1), np.take_along_axis(weights, order, axis=1)
    )


@keras.saving.register_keras_serializable("aitk.recsys")
class SparseScores(keras.layers.Layer):
    """Sum of the weights of an item's neighbours in the history.

    ``history`` and ``history_weights`` (batch, length) -> (batch, items).
    """

    def __init__(self, items: int, neighbours: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.items, self.neighbours = items, neighbours

    def build(self, history_shape: Shape, history_weights_shape: Shape) -> None:
        shape = (self.items, self.neighbours)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        self.numbers = self.add_weight(
            shape=shape, initializer="zeros", dtype="int32", trainable=False, name="numbers"
        )

    def call(self, history: Tensor, history_weights: Tensor) -> Tensor:
        hot = ops.transpose(multi_hot(history, history_weights, items=self.items))
        scores = 0.0
        for start in range(0, self.neighbours, BLOCK):
            part = slice(start, start + BLOCK)
            near = ops.take(hot, self.numbers[:, part], axis=0)  # (items, block, batch)
            scores += ops.sum(near * ops.expand_dims(self.kernel[:, part], -1), axis=1)
        return ops.transpose(scores)  # (batch, items)

    def compute_output_shape(self, history_shape: Shape, history_weights_shape: Shape) -> Shape:
        return (history_shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items, "neighbours": self.neighbours}


def neighbours_matrix(numbers: np.ndarray, weights: np.ndarray) -> Any:
    """Each item's neighbours as a row of a scipy CSR array (items, items)."""
    from scipy.sparse import csr_array

    items, count = numbers.shape
    starts = np.arange(0, items * count + 1, count)
    # Copy first: eliminating zeros works in place.
    matrix = csr_array((weights.flatten(), numbers.flatten(), starts), shape=(items, items))
    matrix.eliminate_zeros()
    return matrix


def fit_content(settings: ContentSettings, log: TrainingLog) -> Scorer:
    """The items most similar to those of the history by content; events are not used."""
    return sparse_scorer(*content_neighbours(log.features, neighbours=settings.neighbours))
