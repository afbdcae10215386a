"""Top-N recommendation: the items that a user would choose next, from a log of choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.capabilities import Rows
from aitk.core.contract.task import Batch, Evaluation, Metric
from aitk.core.metrics.baselines import Baseline
from aitk.recsys.data.options import RecommendOptions, RecommendReading
from aitk.recsys.decoding.top_n import recommend_rows
from aitk.recsys.features.assets import LogAssets
from aitk.recsys.metrics.baselines import baseline_of, popular_items
from aitk.recsys.metrics.list_evaluation import evaluate_lists, measure_lists
from aitk.recsys.models.specs import ClosedFormRecommender, SequenceRecommender, TrainedRecommender
from aitk.recsys.tasks.log_task import LogTask
from aitk.recsys.tasks.settings import (
    AlsSettings,
    Bert4RecSettings,
    BprSettings,
    BprSgdSettings,
    ContentSettings,
    DcnSettings,
    DlrmSettings,
    EaseSettings,
    ESasRecSettings,
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

if TYPE_CHECKING:
    from aitk.core.edge.parts import BundleParts

#: Models of the order of a user's items, which ``masked-items`` pretrains.
SEQUENCE_MODELS: dict[str, SequenceRecommender[Any]] = {
    "gru4rec": SequenceRecommender(
        Gru4RecSettings, "aitk.recsys.models.gru4rec:build_gru4rec", batches="next"
    ),
    "sasrec": SequenceRecommender(
        SasRecSettings, "aitk.recsys.models.sasrec:build_sasrec", batches="next"
    ),
    "esasrec": SequenceRecommender(
        ESasRecSettings, "aitk.recsys.models.sasrec:build_esasrec", batches="next"
    ),
    "bert4rec": SequenceRecommender(
        Bert4RecSettings, "aitk.recsys.models.bert4rec:build_bert4rec", batches="masked"
    ),
}


class Recommend(LogTask):
    """Items for a user, best first, by a model's score for every item."""

    name = "recsys.recommend"
    reading = RecommendReading
    predict_options = RecommendOptions
    models = {
        "ease": ClosedFormRecommender(
            EaseSettings, "aitk.recsys.models.closed_form.linear:fit_ease"
        ),
        "slim": ClosedFormRecommender(
            SlimSettings, "aitk.recsys.models.closed_form.sparse:fit_slim"
        ),
        "item-knn": ClosedFormRecommender(
            ItemKnnSettings, "aitk.recsys.models.closed_form.sparse:fit_item_knn"
        ),
        "user-knn": ClosedFormRecommender(
            UserKnnSettings, "aitk.recsys.models.closed_form.user_neighbours:fit_user_knn"
        ),
        "als": ClosedFormRecommender(AlsSettings, "aitk.recsys.models.closed_form.als:fit_als"),
        "bpr": TrainedRecommender(
            BprSettings, "aitk.recsys.models.bpr:build_bpr", batches="sets", loss="pairwise"
        ),
        "bpr-sgd": ClosedFormRecommender(
            BprSgdSettings, "aitk.recsys.models.closed_form.bpr_sgd:fit_bpr_sgd"
        ),
        "two-tower": TrainedRecommender(
            TwoTowerSettings,
            "aitk.recsys.models.two_tower:build_two_tower",
            batches="towers",
            loss="softmax",
        ),
        "neumf": TrainedRecommender(
            NeuMfSettings, "aitk.recsys.models.neumf:build_neumf", batches="parts", loss="bce"
        ),
        "dcn": TrainedRecommender(
            DcnSettings, "aitk.recsys.models.dcn:build_dcn", batches="parts", loss="bce"
        ),
        "dlrm": TrainedRecommender(
            DlrmSettings, "aitk.recsys.models.dlrm:build_dlrm", batches="parts", loss="bce"
        ),
        **SEQUENCE_MODELS,
        "content": ClosedFormRecommender(
            ContentSettings, "aitk.recsys.models.closed_form.sparse:fit_content"
        ),
        "hybrid": ClosedFormRecommender(HybridSettings, "aitk.recsys.models.hybrid:fit_hybrid"),
        "popular": ClosedFormRecommender(
            PopularSettings, "aitk.recsys.models.closed_form.popular:fit_popular"
        ),
        "recent": ClosedFormRecommender(
            RecentSettings, "aitk.recsys.models.closed_form.popular:fit_recent"
        ),
        "random": ClosedFormRecommender(
            RandomSettings, "aitk.recsys.models.closed_form.popular:fit_random"
        ),
    }
    metric = Metric("ndcg@10")
    content = "item"

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: LogAssets,
        *,
        top_k: int = 1,
        options: RecommendOptions | None = None,
    ) -> list[dict[str, Any]]:
        return recommend_rows(batch, outputs, assets, top_k=top_k, options=options)

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
        return evaluate_lists(measured, assets, resamples=resamples, seed=seed)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: LogAssets
    ) -> list[Baseline]:
        return [baseline_of("most popular", popular_items(assets.counts), self, assets)]

    def bundle(self, assets: LogAssets, reading: RecommendReading) -> BundleParts:
        """See ``Bundled``."""
        from aitk.recsys.edge.parts import list_parts

        return list_parts(assets, reading)

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
