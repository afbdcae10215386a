"""Image regression: a number per image, such as the degree of wear of a surface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.score_task import ScoreTask
from aitk.core.contract.task import Example, Note
from aitk.core.io.images import decode_checked, encode_bmp
from aitk.vision.data.options import ScoreImages
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import fit_image
from aitk.vision.features.sample import Sample, soft_labels
from aitk.vision.models.specs import REGRESSORS
from aitk.vision.tasks.image_task import ImageTask

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained


class Score(ScoreTask[ImageAssets], ImageTask):
    """Wear, age, fill level, quality: a number from a table column."""

    name = "vision.score"
    reading = ScoreImages
    models = REGRESSORS
    annotation_kinds = frozenset({"score"})
    required_parameters = frozenset({"mean", "deviation"})

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
        note: Note,
    ) -> ImageAssets:
        if settings.smoothing:
            raise UsageError(
                "label smoothing needs classes, and a score has none",
                where="smoothing",
                hint="Leave it at 0",
            )
        assets = super().learn(rows, summary, settings, start=start, tables=tables, note=note)
        return dataclasses.replace(assets, parameters=self.learn_scores(summary))

    def check_parameters(self, assets: ImageAssets, *, where: str) -> None:
        super().check_parameters(assets, where=where)
        if not assets.deviation > 0:
            raise ArtifactError("parameters.deviation is not positive", where=where)

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: ImageAssets) -> list[Example]:
        """Like every image task; the target is the score, or None if unknown."""
        examples = super().encode(rows, assets)
        return [
            Example(example.inputs, row.get("score"))
            for example, row in zip(examples, rows, strict=True)
        ]

    def label_shares(self, target: Any) -> tuple[int, Mapping[int, float]]:
        """The score as the share of the only output: mixed images get the mean of their scores
        (Zhang et al. 2018, mixup, equation 1)."""
        return 0, {0: float(target)}

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(samples, 1) standardised scores."""
        return (soft_labels(samples, 1) - assets.mean) / assets.deviation, None

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: ImageAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """See ``Explainable``: regions that raise the score."""
        from aitk.vision.explain.saliency import explain_image

        original = decode_checked(fields["image"])
        fitted, fit = fit_image(original, assets.size, how=assets.fit)

        def score(images: Sequence[np.ndarray]) -> np.ndarray:
            height, width = assets.size
            same = {"height": height, "width": width}
            rows = [dict(fields) | same | {"image": encode_bmp(each)} for each in images]
            return self.scores(predict(rows), assets)

        importance = None
        if model is not None:
            from aitk.vision.explain.attribution import attribute

            importance = attribute(model(), fitted, 0)
        prediction = round(float(self.scores(predict([fields]), assets)[0]), 6)
        return {"prediction": prediction} | explain_image(
            original, fitted, fit, score, importance=importance
        )
