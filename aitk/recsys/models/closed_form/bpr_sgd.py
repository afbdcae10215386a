"""BPR in seconds: factors by gradient descent in NumPy, users folded in from their histories."""

from __future__ import annotations

import numpy as np

from aitk.recsys.features.training_log import TrainingLog
from aitk.recsys.losses.bpr import bpr
from aitk.recsys.models.closed_form.als import FactorScores
from aitk.recsys.models.closed_form.scorer import Scorer, make_scorer
from aitk.recsys.tasks.settings import BprSgdSettings

#: Weight of an item of the history, and ridge penalty as a share of the mean square of a factor
#: over all items: as for unknown users in ``aitk.recsys.models.bpr``.
CONFIDENCE, RIDGE = 3.0, 2.0


def fit_bpr_sgd(settings: BprSgdSettings, log: TrainingLog) -> Scorer:
    """Item factors of BPR; the item bias is the last factor."""
    _, items, biases = bpr(
        log.events,
        factors=settings.factors,
        l2=settings.l2,
        learning_rate=settings.step_size,
        epochs=settings.epochs,
        batch_size=settings.batch_events,
        seed=log.seed,
        negatives=settings.negatives,
    )
    table = np.concatenate([items, biases[:, None]], axis=1)  # (items, factors + 1)
    ridge = RIDGE * np.square(table).sum(axis=0).mean() + 1e-6
    layer = FactorScores(*table.shape, alpha=CONFIDENCE, name="backbone", dtype="float32")
    model = make_scorer(layer, "history", "history_weights")
    gram = table.T @ table + ridge * np.eye(table.shape[1])
    layer.set_weights([np.pad(table, ((1, 0), (0, 0))), gram])
    return model
