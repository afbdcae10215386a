"""A computed model with fewer weights: only the strongest of each item are kept."""

from __future__ import annotations

import keras

from aitk.core.contract.errors import UsageError
from aitk.recsys.fits.largest import largest_weights
from aitk.recsys.models.closed_form.linear import LinearScores
from aitk.recsys.models.closed_form.scorer import Scorer
from aitk.recsys.models.closed_form.sparse import SparseScores, prune_neighbours, sparse_scorer


def prune_solved(model: keras.Model, *, share: float) -> Scorer | None:
    """Drop the weakest ``share`` of the weights of each item; None for a model that is trained.

    Raises:
        UsageError: the model has no weights between items.
    """
    if not isinstance(model, Scorer):
        return None
    backbone = model.get_layer("backbone")
    if isinstance(backbone, SparseScores):
        return prune_neighbours(model, share=share)
    if isinstance(backbone, LinearScores):
        (weights,) = backbone.get_weights()
        kept = max(1, round(len(weights) * (1 - share)))
        return sparse_scorer(*largest_weights(weights, keep=kept))
    raise UsageError(
        "has no weights between items that could be dropped",
        where="--prune",
        hint="Try --quantize int8",
    )
