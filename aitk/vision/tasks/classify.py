"""Picture classification: one label for a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.task import ONLY_OUTPUT, Batch, Evaluation
from aitk.core.io.images import decode_checked, encode_png
from aitk.core.metrics.baselines import Baseline, Rows, majority_class
from aitk.core.metrics.classification import (
    answer_classes,
    explained_class,
    score_classification,
    softmax,
)
from aitk.vision.data.options import ClassifyPictures
from aitk.vision.features.assets import PictureAssets
from aitk.vision.features.geometry import fit_picture
from aitk.vision.features.sample import Sample, soft_labels
from aitk.vision.tasks.image_task import UNSEEN, PictureTask
from aitk.vision.tasks.settings import NETWORKS, HubSettings

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained


class Classify(PictureTask):
    """What a picture shows: a thing, a defect, a place, whatever its folder or column says."""

    name = "vision.classify"
    reading = ClassifyPictures
    models = {**NETWORKS, "hub": HubSettings}
    main_metric = "accuracy"
    combines = True
    wants = frozenset({"label"})

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
    ) -> PictureAssets:
        assets = super().learn(rows, summary, settings, start=start, balance=balance, tables=tables)
        return dataclasses.replace(
            assets, extras={**assets.extras, "smoothing": settings.smoothing}
        )

    def targets(
        self, samples: Sequence[Sample], assets: PictureAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return soft_labels(samples, len(assets.labels)), None

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.vision.models.pretrained import adopt

        return adopt(found)

    def output_sizes(self, assets: PictureAssets) -> dict[str, int]:
        return {ONLY_OUTPUT: len(assets.labels)}

    def build(
        self, model: str, settings: Any, assets: PictureAssets, *, backbone: Any = None
    ) -> Any:
        from aitk.vision.models import build_backbone
        from aitk.vision.models.head import classifier
        from aitk.vision.models.state_transfer import at_size

        if backbone is None:
            backbone = build_backbone(model, settings, assets.size)
        return classifier(
            at_size(backbone, assets.size), classes=len(assets.labels), dropout=settings.dropout
        )

    def objective(self, assets: PictureAssets) -> Any:
        import keras

        return keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=assets.extras.get("smoothing", 0.0)
        )

    def lesson(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """The larger model's logits of the student's pictures, whatever size it reads itself."""
        from aitk.vision.losses.distillation import at_its_own_size

        return at_its_own_size(teacher, student.inputs[0].shape[1:3])

    def taught_objective(self, assets: PictureAssets, *, teacher: PictureAssets) -> Any:
        from aitk.vision.losses.distillation import TaughtLabelLoss, check_alike

        check_alike(assets, teacher, kinds=self.wants)
        return TaughtLabelLoss()

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: PictureAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> list[dict[str, Any]]:
        return answer_classes(softmax(outputs), assets.labels, top_k=top_k)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: PictureAssets
    ) -> dict[str, np.ndarray]:
        shares = np.asarray(batch.targets)  # a label that training never saw has none
        targets = np.where(shares.any(axis=1), shares.argmax(axis=1), UNSEEN)
        return {"target": targets, "probabilities": softmax(outputs)}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: PictureAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_classification(
            measured["target"],
            measured["probabilities"],
            list(assets.labels),
            resamples=resamples,
            seed=seed,
        )

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: PictureAssets
    ) -> list[Baseline]:
        return [majority_class(summary["label_counts"]["train"], assets.labels)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: PictureAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        from aitk.vision.explain.saliency import explain_picture

        index, told = explained_class(softmax(predict([fields]))[0], assets.labels, target)
        original = decode_checked(fields["picture"])
        fitted, fit = fit_picture(original, assets.size, how=assets.fit)

        def probability(pictures: Sequence[np.ndarray]) -> np.ndarray:
            height, width = assets.size
            same = {"height": height, "width": width}
            rows = [dict(fields) | same | {"picture": encode_png(each)} for each in pictures]
            return softmax(predict(rows))[:, index]

        importance = None
        if model is not None:
            from aitk.vision.explain.attribution import attribute

            importance = attribute(model(), fitted, index)
        return told | explain_picture(original, fitted, fit, probability, importance=importance)
