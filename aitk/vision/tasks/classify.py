"""Image classification: one label for an image."""

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
from aitk.vision.data.options import ClassifyImages
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import fit_image
from aitk.vision.features.sample import Sample, soft_labels
from aitk.vision.models.settings import NETWORKS, HubSettings
from aitk.vision.tasks.image_task import UNSEEN, ImageTask

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained


class Classify(ImageTask):
    """What an image shows: a thing, a defect, a place, whatever its folder or column says."""

    name = "vision.classify"
    reading = ClassifyImages
    models = {**NETWORKS, "hub": HubSettings}
    main_metric = "accuracy"
    combines = True
    annotation_kinds = frozenset({"label"})

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
    ) -> ImageAssets:
        assets = super().learn(rows, summary, settings, start=start, balance=balance, tables=tables)
        return dataclasses.replace(
            assets, parameters={**assets.parameters, "smoothing": settings.smoothing}
        )

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return soft_labels(samples, len(assets.labels)), None

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.vision.models.pretrained import adopt

        return adopt(found)

    def output_sizes(self, assets: ImageAssets) -> dict[str, int]:
        return {ONLY_OUTPUT: len(assets.labels)}

    def build(self, model: str, settings: Any, assets: ImageAssets, *, backbone: Any = None) -> Any:
        from aitk.vision.models import build_backbone
        from aitk.vision.models.classifier import classifier
        from aitk.vision.models.transfer import resize_input

        if backbone is None:
            backbone = build_backbone(model, settings, assets.size)
        return classifier(
            resize_input(backbone, assets.size),
            classes=len(assets.labels),
            dropout=settings.dropout,
        )

    def objective(self, assets: ImageAssets) -> Any:
        import keras

        return keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=assets.parameters.get("smoothing", 0.0)
        )

    def lesson(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """The larger model's logits of the student's images, whatever size it reads itself."""
        from aitk.vision.losses.distillation import resize_to_teacher

        return resize_to_teacher(teacher, student.inputs[0].shape[1:3])

    def taught_objective(self, assets: ImageAssets, *, teacher: ImageAssets) -> Any:
        from aitk.vision.losses.distillation import LabelDistillationLoss, check_same_classes

        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        return LabelDistillationLoss()

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: ImageAssets,
        *,
        top_k: int = 1,
        asked: Any = None,
    ) -> list[dict[str, Any]]:
        return answer_classes(softmax(outputs), assets.labels, top_k=top_k)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: ImageAssets
    ) -> dict[str, np.ndarray]:
        shares = np.asarray(batch.targets)  # a label that training never saw has none
        targets = np.where(shares.any(axis=1), shares.argmax(axis=1), UNSEEN)
        return {"target": targets, "probabilities": softmax(outputs)}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: ImageAssets,
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
        self, train: Rows, summary: Mapping[str, Any], assets: ImageAssets
    ) -> list[Baseline]:
        return [majority_class(summary["label_counts"]["train"], assets.labels)]

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: ImageAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        from aitk.vision.explain.saliency import explain_image

        index, told = explained_class(softmax(predict([fields]))[0], assets.labels, target)
        original = decode_checked(fields["image"])
        fitted, fit = fit_image(original, assets.size, how=assets.fit)

        def probability(images: Sequence[np.ndarray]) -> np.ndarray:
            height, width = assets.size
            same = {"height": height, "width": width}
            rows = [dict(fields) | same | {"image": encode_png(each)} for each in images]
            return softmax(predict(rows))[:, index]

        importance = None
        if model is not None:
            from aitk.vision.explain.attribution import attribute

            importance = attribute(model(), fitted, index)
        return told | explain_image(original, fitted, fit, probability, importance=importance)
