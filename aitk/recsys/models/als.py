"""Factors, a user's being found from the history at once (Hu et al. 2008)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from aitk.recsys.fits.als import als
from aitk.recsys.fits.log import TrainingLog
from aitk.recsys.models.fold_in import conjugate_gradient
from aitk.recsys.models.scorer import Scorer, make_scorer, present
from aitk.recsys.settings import AlsSettings

#: Steps of conjugate gradient: with up to 128 factors a user's are off by 1e-4 at most.
STEPS = 24


def solve_als(settings: AlsSettings, log: TrainingLog) -> Scorer:
    """Alternating least squares on implicit feedback."""
    _, items = als(
        log.events,
        factors=settings.factors,
        alpha=settings.alpha,
        l2=settings.l2,
        iterations=settings.iterations,
        seed=log.seed,
    )
    layer = FactorScores(*items.shape, alpha=settings.alpha, name="backbone", dtype="float32")
    model = make_scorer(layer, "history", "history_weights")
    gram = items.T @ items + settings.l2 * np.eye(settings.factors)
    layer.set_weights([np.pad(items, ((1, 0), (0, 0))), gram])
    return model


@keras.saving.register_keras_serializable("aitk.recsys")
class FactorScores(keras.layers.Layer):
    """The factors that explain a history, times those of all items.

    ``history`` and ``history_weights`` (batch, length) -> (batch, items). A user needs no training:
    the factors are those that another half round of training would give (Hu et al. 2008,
    equation 4), by conjugate gradient, since an exact solver converts to no other format.
    """

    def __init__(self, items: int, factors: int, *, alpha: float, **kwargs):
        super().__init__(**kwargs)
        self.items, self.factors, self.alpha = items, factors, alpha

    def build(self, history_shape, history_weights_shape):
        self.table = self.add_weight(  # row 0, of padding, stays zero
            shape=(self.items + 1, self.factors), initializer="zeros", name="table"
        )
        self.gram = self.add_weight(  # of all items, with the ridge penalty
            shape=(self.factors, self.factors), initializer="zeros", name="gram"
        )

    def call(self, history, history_weights):
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

    def compute_output_shape(self, history_shape, history_weights_shape):
        return (history_shape[0], self.items)

    def get_config(self):
        own = {"items": self.items, "factors": self.factors, "alpha": self.alpha}
        return super().get_config() | own
