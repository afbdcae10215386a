"""Rating prediction: how a user would rate an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.contract.capabilities import Rows
from aitk.core.contract.task import Batch, Evaluation, Metric
from aitk.core.metrics.baselines import Baseline
from aitk.core.metrics.statistics import ratio_statistic
from aitk.recsys.data.options import RateReading
from aitk.recsys.features.assets import LogAssets
from aitk.recsys.features.batching import pad_right
from aitk.recsys.features.training_log import training_log
from aitk.recsys.metrics.baselines import average_ratings, baseline_of, mean_rating
from aitk.recsys.metrics.rating_scores import rating_errors, rating_scores
from aitk.recsys.models.specs import ClosedFormRecommender, TrainedRecommender
from aitk.recsys.tasks.log_task import LogTask
from aitk.recsys.tasks.settings import (
    AverageSettings,
    BiasedMfSettings,
    DcnSettings,
    NeuMfSettings,
    RateItemKnnSettings,
    RateUserKnnSettings,
)


class Rate(LogTask):
    """A rating for a user and an item, on the scale of the training ratings."""

    name = "recsys.rate"
    reading = RateReading
    rated = True
    models = {
        "biased-mf": TrainedRecommender(
            BiasedMfSettings, "aitk.recsys.models.biased_mf:build_biased_mf", batches="ratings"
        ),
        "item-knn": ClosedFormRecommender(
            RateItemKnnSettings,
            "aitk.recsys.models.closed_form.rating_neighbours:fit_rate_item_knn",
        ),
        "user-knn": ClosedFormRecommender(
            RateUserKnnSettings,
            "aitk.recsys.models.closed_form.rating_neighbours:fit_rate_user_knn",
        ),
        "neumf": TrainedRecommender(
            NeuMfSettings, "aitk.recsys.models.neumf:build_neumf", batches="ratings"
        ),
        "dcn": TrainedRecommender(
            DcnSettings, "aitk.recsys.models.dcn:build_dcn", batches="ratings"
        ),
        "average": ClosedFormRecommender(
            AverageSettings, "aitk.recsys.models.closed_form.average:fit_average"
        ),
    }
    metric = Metric("rmse", higher_is_better=False, is_rate=False)

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: LogAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """The rating of the first target of each row, clipped to the range in training."""
        ratings = _bounded(batch, outputs, assets)
        rows = zip(batch.context["targets"], ratings, batch.context["queries"], strict=True)
        return [_answer(targets, ratings, query or {}, assets) for targets, ratings, query in rows]

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: LogAssets
    ) -> dict[str, np.ndarray]:
        """Per row: number of rated items, and summed squared and absolute errors."""
        ratings = pad_right(batch.context["target_ratings"], np.float32)
        lengths = np.array([len(row) for row in batch.context["targets"]])
        used = np.arange(ratings.shape[1]) < lengths[:, None]
        return rating_errors(_bounded(batch, outputs, assets), ratings, used)

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: LogAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        metrics, per_row = rating_scores(measured, resamples=resamples, seed=seed)
        details = {"protocol": assets.protocol, "ratings": int(measured["ratings"].sum())}
        errors = ratio_statistic(measured["squared"], measured["ratings"], finish=np.sqrt)
        return Evaluation(metrics, per_row, details, errors)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: LogAssets
    ) -> list[Baseline]:
        events = training_log(train, assets).events
        predictors = {
            "mean rating": mean_rating(assets.rating_mean),
            "averages of user and item": average_ratings(events),
        }
        return [baseline_of(name, each, self, assets) for name, each in predictors.items()]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: LogAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        from aitk.recsys.explain.attribution import explain_rating

        return explain_rating(fields, predict, assets, target=target)


def _bounded(batch: Batch, outputs: np.ndarray, assets: LogAssets) -> np.ndarray:
    """(rows, slots) ratings clipped to the training scale; the mean for unknown items."""
    unknown = batch.inputs["targets"] == 0
    return np.where(unknown, assets.rating_mean, np.clip(outputs, *assets.rating_range))


def _answer(
    targets: np.ndarray, ratings: np.ndarray, query: Mapping[str, Any], assets: LogAssets
) -> dict[str, Any]:
    if not len(targets):
        note = f"unknown item {query.get('item')!r}: the mean of all ratings"
        return {"prediction": round(assets.rating_mean, 4), "note": note}
    prediction: dict[str, Any] = {"prediction": round(float(ratings[0]), 4)}
    if not query.get("known_user", True):
        prediction["note"] = f"unknown user {query['user']!r}: based on the ratings of others"
    return prediction
