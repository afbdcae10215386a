"""Top-N recommendation: which items a user would choose next, from a log of choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.contract.options import resolve
from aitk.core.contract.task import ONLY_OUTPUT, Batch, Evaluation
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.recsys.data.options import RecommendAnswers, RecommendReading
from aitk.recsys.decoding.top_n import recommend_rows
from aitk.recsys.features.assets import LogAssets
from aitk.recsys.metrics.baselines import baseline_of, popular_items
from aitk.recsys.metrics.list_evaluation import judge_lists, measure_lists
from aitk.recsys.tasks.log_task import LogTask
from aitk.recsys.tasks.settings import (
    AlsSettings,
    Bert4RecSettings,
    BprSettings,
    ContentSettings,
    DcnSettings,
    DlrmSettings,
    EaseSettings,
    Gru4RecSettings,
    HybridSettings,
    ItemKnnSettings,
    NeuMfSettings,
    PopularSettings,
    RandomSettings,
    RecentSettings,
    SasRecSettings,
    SlimSettings,
    TwoTowerSettings,
    UserKnnSettings,
)


class Recommend(LogTask):
    """Items for a user, best first, by the score that a model gives to every item."""

    name = "recsys.recommend"
    reading = RecommendReading
    answering = RecommendAnswers
    models = {
        "ease": EaseSettings,
        "slim": SlimSettings,
        "item-knn": ItemKnnSettings,
        "user-knn": UserKnnSettings,
        "als": AlsSettings,
        "bpr": BprSettings,
        "two-tower": TwoTowerSettings,
        "neumf": NeuMfSettings,
        "dcn": DcnSettings,
        "dlrm": DlrmSettings,
        "gru4rec": Gru4RecSettings,
        "sasrec": SasRecSettings,
        "bert4rec": Bert4RecSettings,
        "content": ContentSettings,
        "hybrid": HybridSettings,
        "popular": PopularSettings,
        "recent": RecentSettings,
        "random": RandomSettings,
    }
    main_metric = "ndcg@10"
    usual_top_k = 10

    def objective(self, assets: LogAssets) -> Any:
        from aitk.recsys.losses.slot_losses import ranking_loss

        settings = resolve(self.models[assets.model], assets.settings)
        return ranking_loss(settings, items=len(assets.items))

    def output_sizes(self, assets: LogAssets) -> dict[str, int]:
        return {ONLY_OUTPUT: len(assets.items)}

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: LogAssets,
        *,
        top_k: int = 1,
        asked: RecommendAnswers | None = None,
    ) -> list[dict[str, Any]]:
        return recommend_rows(batch, outputs, assets, top_k=top_k, asked=asked)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: LogAssets
    ) -> dict[str, np.ndarray]:
        return measure_lists(batch, outputs, assets)

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: LogAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return judge_lists(measured, assets, resamples=resamples, seed=seed)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: LogAssets
    ) -> list[Baseline]:
        return [baseline_of("most popular", popular_items(assets.counts), self, assets)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: LogAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        from aitk.recsys.explain.attribution import explain_recommendation

        return explain_recommendation(fields, predict, assets, target=target)
