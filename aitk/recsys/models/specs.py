"""The specifications of recommenders, trained or in closed form.

A model in a plug-in is its settings and one function::

    @dataclass(frozen=True)
    class SlopeOneSettings(ClosedFormSettings):
        least: int = option(2, "minimum number of users who rated both items", minimum=1)

    def fit_slope_one(settings: SlopeOneSettings, log: TrainingLog) -> keras.Model: ...

    slope_one = ClosedFormRecommender(SlopeOneSettings, fit_slope_one)
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.model_spec import ONLY_OUTPUT, ClosedFormModel, SettingsT, TrainedModel
from aitk.core.contract.options import resolve
from aitk.core.contract.progress import Reporter
from aitk.recsys.features.assets import LogAssets
from aitk.recsys.features.item_features import NONE, item_features, reduced
from aitk.recsys.features.learning import renumber
from aitk.recsys.features.training_log import TrainingLog, training_log

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.keras_arrays import StoredLayer
    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.recsys.models.layers.shape import ItemShape

#: Training events of a log for which the default settings of sequence models were chosen, and of a
#: log that uses this share of their learning rate and this dropout.
LARGE_LOG, SMALL_LOG = 90_000, 35_000
SMALL_LOG_RATE, SMALL_LOG_DROPOUT, SMALL_LOG_SCALE = 0.25, 0.5, 0.1
#: From settings and training events to a model with its weights.
Fit = Callable[[Any, TrainingLog], "keras.Model"]
#: From settings and an ``ItemShape`` to a new model; for rating prediction also ``ratings``.
Build = Callable[..., "keras.Model"]


class ClosedFormRecommender(ClosedFormModel[SettingsT, LogAssets]):
    """A recommender in closed form.

    Args:
        settings: options dataclass, usually a ``ClosedFormSettings``.
        fit: a function, or ``"package.module:function"`` if the module imports Keras.
    """

    #: Type of training batches: none.
    batches = ""

    def __init__(self, settings: type[SettingsT], fit: Fit | str):
        super().__init__(settings)
        self._fit = fit

    def output_sizes(self, assets: LogAssets) -> Mapping[str, int]:
        return score_sizes(assets)

    def fit(
        self,
        settings: SettingsT,
        assets: LogAssets,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        reporter: Reporter,
    ) -> keras.Model:
        features = _features(settings, assets)
        return self.fit_log(settings, training_log(rows, assets, features=features, seed=seed))

    def fit_log(self, settings: SettingsT, log: TrainingLog) -> keras.Model:
        """The Keras model of a log.

        Raises:
            UsageError: the log lacks data that the model needs.
            TrainingError: the model does not fit into memory, or the computation fails.
        """
        return _function(self._fit)(settings, log)

    def open_arrays(self, layer: StoredLayer) -> Callable[[Mapping[str, Any]], Any] | None:
        from aitk.recsys.models.closed_form.array_ratings import open_arrays

        return open_arrays(layer)

    def prune(self, model: keras.Model, share: float) -> keras.Model:
        from aitk.recsys.models.closed_form.linear import prune_closed_form

        return prune_closed_form(model, share=share)


class TrainedRecommender(TrainedModel[SettingsT, LogAssets]):
    """A recommender trained by gradient descent, on rankings or, in a rating task, on ratings.

    Args:
        settings: options dataclass, usually a ``TrainedSettings``.
        build: a function, or ``"package.module:function"`` if the module imports Keras.
        batches: type of training batches, see ``aitk.recsys.features.batching``.
        loss: ranking loss: ``pairwise``, ``softmax`` or ``bce``; None for the setting ``loss``.
            Ratings are trained with the squared error.
    """

    def __init__(
        self,
        settings: type[SettingsT],
        build: Build | str,
        *,
        batches: str,
        loss: str | None = None,
    ):
        super().__init__(settings)
        self._build, self.batches, self._loss = build, batches, loss

    def output_sizes(self, assets: LogAssets) -> Mapping[str, int]:
        return score_sizes(assets)

    def build(
        self, settings: SettingsT, assets: LogAssets, *, backbone: keras.Model | None = None
    ) -> keras.Model:
        from aitk.recsys.models.layers.shape import ItemShape

        # A pretrained backbone belongs to its own catalogue: ``fill`` copies its weights.
        del backbone
        features = reduced(_features(settings, assets))
        shape = ItemShape(len(assets.items), len(assets.users), assets.counts, features)
        return self._new(settings, shape, assets)

    def loss(self, assets: LogAssets) -> Any:
        from aitk.recsys.losses.slot_losses import RatingLoss, ranking_loss

        if assets.rated:
            return RatingLoss(scale=assets.rating_deviation)
        settings: Any = resolve(self.settings, assets.settings)
        return ranking_loss(self._loss or settings.loss, settings, items=len(assets.items))

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.recsys.models.transfer import adopt

        return adopt(found)

    def fill(self, found: Pretrained, model: keras.Model, assets: LogAssets) -> Pretrained:
        from aitk.recsys.models.transfer import take_over

        return take_over(found, model, assets)

    def grow(
        self, model: keras.Model, settings: SettingsT, *, old: LogAssets, new: LogAssets
    ) -> keras.Model:
        from aitk.recsys.models.layers.shape import ItemShape
        from aitk.recsys.models.layers.state_transfer import carry_over, features_of

        # New items have only ids; the features of the others stay the same.
        added = len(new.items) - len(old.items)
        features = {
            name: np.pad(matrix, ((0, added), (0, 0)))
            for name, matrix in features_of(model).items()
        }
        shape = ItemShape(len(new.items), len(new.users), new.counts, features)
        grown = self._new(settings, shape, new)
        carry_over(
            model,
            grown,
            items_from_old=renumber(old.items, new.items),
            users_from_old=renumber(old.users, new.users),
        )
        return grown

    def _new(self, settings: SettingsT, shape: ItemShape, assets: LogAssets) -> keras.Model:
        build = _function(self._build)
        if not assets.rated:
            return build(settings, shape)
        from aitk.recsys.models.layers.candidates import Ratings

        users, items = assets.rating_biases or (None, None)
        ratings = Ratings(assets.rating_mean, assets.rating_deviation, users, items)
        return build(settings, shape, ratings=ratings)


class SequenceRecommender(TrainedRecommender[SettingsT]):
    """A model of item sequences, with attention or a recurrent network.

    It has far more weights than a small log has events: at the learning rate that suits MovieLens,
    it overfits within a few epochs, below the most-popular baseline. So between ``LARGE_LOG`` and
    ``SMALL_LOG`` training events, the learning rate falls to a quarter and dropout rises to a half,
    linearly in the logarithm of the events ("Small logs" in bench/README.md has the figures).
    """

    def default_settings(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        declared: Any = self.settings()
        dropout = declared.dropout + _smallness(summary) * (SMALL_LOG_DROPOUT - declared.dropout)
        start_scale = declared.start_scale * SMALL_LOG_SCALE ** _smallness(summary)
        return {"dropout": round(dropout, 3), "start_scale": round(start_scale, 3)}

    def default_learning_rate(self, summary: Mapping[str, Any]) -> float:
        usual = super().default_learning_rate(summary)
        return float(f"{usual * SMALL_LOG_RATE ** _smallness(summary):.2g}")


def _smallness(summary: Mapping[str, Any]) -> float:
    """0 for a log of ``LARGE_LOG`` training events or more, 1 for ``SMALL_LOG`` or fewer."""
    events = summary.get("splits", {}).get("train", {}).get("events", LARGE_LOG)
    share = math.log(LARGE_LOG / max(1, events)) / math.log(LARGE_LOG / SMALL_LOG)
    return min(1.0, max(0.0, share))


def score_sizes(assets: LogAssets) -> Mapping[str, int]:
    """One score per item; the number of ratings is not fixed by the assets."""
    return {} if assets.rated else {ONLY_OUTPUT: len(assets.items)}


def _features(settings: Any, assets: LogAssets) -> dict[str, Any]:
    wanted = getattr(settings, "features", NONE)
    return item_features(assets.attributes, assets.kinds, wanted=wanted)


def _function(found: Callable[..., Any] | str) -> Callable[..., Any]:
    if not isinstance(found, str):
        return found
    module, _, name = found.partition(":")
    return getattr(importlib.import_module(module), name)
