"""ALS factors, with the user's vector computed from the history (Hu et al. 2008)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from aitk.core.layers import Shape, Tensor
from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.als import als, fold_in
from aitk.recsys.losses.hidden import choose
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer, present
from aitk.recsys.models.layers.fold_in import conjugate_gradient
from aitk.recsys.tasks.settings import AlsSettings

#: Conjugate gradient steps: for up to 128 factors the error is at most 1e-4.
STEPS = 24
#: Candidate factors and penalties, defaults first, and iterations for comparing them.
FACTORS = (64, 16, 4)
PENALTIES = (5.0, 30.0, 100.0)
TRIED_ITERATIONS = 6


def fit_als(settings: AlsSettings, log: TrainingLog) -> Scorer:
    """Alternating least squares on implicit feedback."""
    factors, l2 = choose_size(settings, log)
    _, items = als(
        log.events,
        factors=factors,
        alpha=settings.alpha,
        l2=l2,
        iterations=settings.iterations,
        seed=log.seed,
    )
    layer = FactorScores(*items.shape, alpha=settings.alpha, name="backbone", dtype="float32")
    model = make_scorer(layer, "history", "history_weights")
    gram = items.T @ items + l2 * np.eye(factors)
    layer.set_weights([np.pad(items, ((1, 0), (0, 0))), gram])
    return model


def choose_size(settings: AlsSettings, log: TrainingLog) -> tuple[int, float]:
    """Factors and ridge penalty: as given, else the best on hidden events."""
    ways = [
        (factors, l2)
        for factors in (FACTORS if settings.factors is None else [settings.factors])
        for l2 in (PENALTIES if settings.l2 is None else [settings.l2])
    ]
    if len(ways) == 1:
        return ways[0]

    def fit(way: tuple[int, float], events: Any) -> Callable[[Any], np.ndarray]:
        factors, l2 = way
        _, items = als(
            events,
            factors=factors,
            alpha=settings.alpha,
            l2=l2,
            iterations=min(settings.iterations, TRIED_ITERATIONS),
            seed=log.seed,
        )
        return lambda histories: fold_in(histories, items, alpha=settings.alpha, l2=l2) @ items.T

    return choose(ways, log, fit)


@keras.saving.register_keras_serializable("aitk.recsys")
class FactorScores(keras.layers.Layer):
    """The factors fitted to a history, times those of all items.

    ``history`` and ``history_weights`` (batch, length) -> (batch, items). Users need no training:
    the factors are those of another half-iteration (Hu et al. 2008, equation 4), by conjugate
    gradient, since an exact solver cannot be converted to other formats.
    """

    def __init__(self, items: int, factors: int, *, alpha: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.items, self.factors, self.alpha = items, factors, alpha

    def build(self, history_shape: Shape, history_weights_shape: Shape) -> None:
        self.table = self.add_weight(  # row 0, of padding, stays zero
            shape=(self.items + 1, self.factors), initializer="zeros", name="table"
        )
        self.gram = self.add_weight(  # of all items, with the ridge penalty
            shape=(self.factors, self.factors), initializer="zeros", name="gram"
        )

    def call(self, history: Tensor, history_weights: Tensor) -> Tensor:
        vectors = ops.take(self.table, history, axis=0)  # (batch, length, factors)
        extra = ops.expand_dims(self.alpha * history_weights * present(history), 2)
        weighted = ops.transpose(extra * vectors, (0, 2, 1))  # (batch, factors, length)
        left = self.gram + ops.matmul(weighted, vectors)  # (batch, factors, factors)
        right = ops.sum((1.0 + extra) * vectors, axis=1)  # (batch, factors)
        user = conjugate_gradient(
            lambda x: ops.matmul(left, ops.expand_dims(x, 2))[:, :, 0],
            right,
            steps=min(STEPS, self.factors + 4),
        )
        return ops.matmul(user, ops.transpose(self.table[1:]))

    def compute_output_shape(self, history_shape: Shape, history_weights_shape: Shape) -> Shape:
        return (history_shape[0], self.items)

    def get_config(self) -> dict[str, Any]:
        own = {"items": self.items, "factors": self.factors, "alpha": self.alpha}
        return super().get_config() | own
