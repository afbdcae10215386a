"""Collaborative filtering combined with content (Burke 2002, weighted and feature hybrids)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.contract.errors import UsageError
from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.ease import ease, ease_with_features
from aitk.recsys.losses.hidden import Hidden, hide_one
from aitk.recsys.losses.similarities import content_neighbours, side_by_side
from aitk.recsys.models.closed_form.linear import LinearScores, linear_scorer
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer
from aitk.recsys.models.closed_form.sparse import SparseScores, neighbours_matrix
from aitk.recsys.tasks.settings import HybridSettings

#: Candidate shares of content, and candidate feature weights; an event has weight 1.
SHARES = tuple(step / 20 for step in range(21))
WEIGHTS = (0.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_TINY = 1e-6


def fit_hybrid(settings: HybridSettings, log: TrainingLog) -> Scorer:
    """EASE combined with content, by scores or in one matrix.

    Raises:
        UsageError: there are no features, or the share of content exceeds 1.
    """
    if settings.how == "features":
        return _solve_features(settings, log)
    if settings.weight is not None and settings.weight > 1:
        raise UsageError(
            "the share of content is at most 1",
            where="--set weight",
            hint="Use a value from 0 to 1",
        )
    numbers, cosines = content_neighbours(log.features, neighbours=settings.neighbours)
    share = settings.weight
    if share is None:
        share = _learn_share(settings, log, neighbours_matrix(numbers, cosines))
    layer = BlendedScores(*numbers.shape, share=share, name="backbone", dtype="float32")
    layer.linear.start_with(ease(log.events, l2=settings.l2))
    model = make_scorer(layer, "history", "history_weights")
    layer.content.set_weights([cosines, numbers])
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class BlendedScores(keras.layers.Layer):
    """Scores of EASE and of content, each standardised per user.

    ``history`` and ``history_weights`` (batch, length) -> (batch, items).
    """

    def __init__(self, items: int, neighbours: int, *, share: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.items, self.neighbours, self.share = items, neighbours, share
        self.linear = LinearScores(items, dtype="float32", name="linear")
        self.content = SparseScores(items, neighbours, dtype="float32", name="content")

    def build(self, history_shape: Shape, history_weights_shape: Shape) -> None:
        self.linear.build(history_shape, history_weights_shape)
        self.content.build(history_shape, history_weights_shape)

    def call(self, history: Tensor, history_weights: Tensor) -> Tensor:
        linear = _standardised(self.linear(history, history_weights))
        content = _standardised(self.content(history, history_weights))
        return (1 - self.share) * linear + self.share * content

    def compute_output_shape(self, history_shape: Shape, history_weights_shape: Shape) -> Shape:
        return (history_shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        own = {"items": self.items, "neighbours": self.neighbours, "share": self.share}
        return super().get_config() | own


def _solve_features(settings: HybridSettings, log: TrainingLog) -> Scorer:
    features = side_by_side(log.features)
    weight = settings.weight
    if weight is None:
        hidden = hide_one(log.events, times=log.times, seed=log.seed)
        weight = max(WEIGHTS, key=lambda each: _ndcg_with(hidden, features, each, settings.l2))
    return linear_scorer(ease_with_features(log.events, features, weight=weight, l2=settings.l2))


def _learn_share(settings: HybridSettings, log: TrainingLog, content: Any) -> float:
    """The share of content that is best on hidden training events."""
    hidden = hide_one(log.events, times=log.times, seed=log.seed)
    weights = ease(hidden.events, l2=settings.l2)

    def scores(histories: Any) -> np.ndarray:
        linear = _standardised_rows(histories @ weights)
        near = _standardised_rows((histories @ content.T).toarray())
        return np.stack([(1 - share) * linear + share * near for share in SHARES])

    return SHARES[int(np.argmax(hidden.ndcg(scores)))]


def _ndcg_with(hidden: Hidden, features: Any, weight: float, l2: float) -> float:
    weights = ease_with_features(hidden.events, features, weight=weight, l2=l2)
    return float(hidden.ndcg(lambda histories: (histories @ weights)[None])[0])


def _standardised(scores: Tensor) -> Tensor:
    # (batch, items) -> the same shape
    scores = scores - ops.mean(scores, axis=1, keepdims=True)
    return scores / (ops.sqrt(ops.mean(ops.square(scores), axis=1, keepdims=True)) + _TINY)


def _standardised_rows(scores: np.ndarray) -> np.ndarray:
    """The NumPy version of ``_standardised``."""
    scores = scores - scores.mean(axis=1, keepdims=True)
    return scores / (np.sqrt(np.square(scores).mean(axis=1, keepdims=True)) + _TINY)
