"""Object detection: the location and class of objects in an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note
from aitk.core.io.images import decode_checked, encode_bmp
from aitk.vision.data.formats.coco_results import CocoResults
from aitk.vision.data.options import DetectImages, DetectPredictOptions
from aitk.vision.decoding.detections import (
    box_prediction,
    in_original,
    object_cells,
    similarity,
)
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import fit_image, plan_fit
from aitk.vision.features.sample import Sample
from aitk.vision.metrics.average_precision import score_detections
from aitk.vision.models.detectors.anchors import learn_anchors
from aitk.vision.models.detectors.settings import parse_strides
from aitk.vision.models.detectors.specs import DETECTORS
from aitk.vision.tasks.image_task import ImageTask

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.edge.parts import BundleParts

#: Objects of a batch are padded to a multiple of this, to limit the number of shapes.
PADDING = 16


class Detect(ImageTask):
    """Cells, parts, defects, vehicles: a bounding box and class for each."""

    name = "vision.detect"
    reading = DetectImages
    predict_options = DetectPredictOptions
    models = DETECTORS
    metric = Metric("map50")
    annotation_kinds = frozenset({"boxes"})
    required_parameters = frozenset({"model"})
    ranked_outputs = frozenset({""})
    prediction_fields = ("boxes.score",)

    def __init__(self) -> None:
        super().__init__()
        self.prediction_formats = {".json": lambda: CocoResults(lambda: self._counts.category_ids)}

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
        if balance:
            raise UsageError(
                "images with boxes of several classes cannot be balanced", where="--balance"
            )
        assets = super().learn(rows, summary, settings, start=start, tables=tables, note=note)
        model = next(name for name, spec in self.models.items() if spec.settings is type(settings))
        parameters: dict[str, Any] = {**assets.parameters, "model": model}
        if "category_ids" in summary:
            parameters["category_ids"] = dict(summary["category_ids"])
        if anchors := self.models[model].anchors:
            strides = parse_strides(settings.strides)
            sizes = _fitted_sizes(rows, assets)
            parameters["anchors"] = learn_anchors(sizes, strides, each=anchors)
        return dataclasses.replace(assets, parameters=parameters)

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return pad_objects(samples), None

    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """The teacher's raw outputs, before non-maximum suppression."""
        import keras

        from aitk.vision.losses.detection_distillation import check_same_positions, raw_outputs

        rows = raw_outputs(teacher)
        check_same_positions(rows, raw_outputs(student))
        return keras.Model(teacher.inputs, rows)

    def add_soft_targets_to_batch(
        self, batch: Batch, outputs: np.ndarray, assets: ImageAssets
    ) -> Batch:
        from aitk.vision.losses.detection_distillation import append_teacher_rows

        return dataclasses.replace(batch, targets=append_teacher_rows(batch.targets, outputs))

    def teacher_only(self, example: Example, assets: ImageAssets) -> Example:
        """See ``DistillsUnlabelled``: the whole image is a region to ignore."""
        height, width = assets.size
        region = {
            "boxes": np.array([[0, 0, width, height]], np.float32),
            "classes": np.zeros(1, np.int32),
            "crowd": np.ones(1, np.int32),
        }
        return dataclasses.replace(example, inputs={**example.inputs, **region}, target=1)

    def distillation_loss(self, assets: ImageAssets, *, teacher: ImageAssets) -> Any:
        from aitk.vision.losses.distillation import check_same_classes, check_same_size

        ours, theirs = assets.parameters["model"], teacher.parameters["model"]
        if ours != theirs:
            raise UsageError(
                f"{theirs} cannot be distilled into {ours}, which encodes boxes differently",
                where="--distill",
                hint=f"Use --distill {theirs} with a smaller --set backbone, width or filters",
            )
        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        check_same_size(assets, teacher)
        if assets.parameters.get("anchors") != teacher.parameters.get("anchors"):
            raise UsageError(
                "the anchors of the student differ from those of the run",
                where="--distill",
                hint="Add --set strides=... and fit=... with the values of the run",
            )
        return self.models[ours].distillation_loss()

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: ImageAssets,
        *,
        top_k: int = 1,
        options: DetectPredictOptions | None = None,
    ) -> list[dict[str, Any]]:
        """For each image ``boxes``, best first: ``label``, its ``number``, ``score``, and ``box``:
        x_min, y_min, x_max, y_max in pixels of the original image.

        See ``box_prediction``.
        """
        options = options or DetectPredictOptions()
        return [
            {"boxes": [box_prediction(row, assets) for row in each[: options.max_boxes]]}
            for each in (
                found[found[:, 4] >= max(options.min_score, 1e-6)]
                for found in in_original(outputs, batch.context["fit"])
            )
        ]

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: ImageAssets
    ) -> dict[str, np.ndarray]:
        """``found`` and ``objects``, one array (n, 6) per image: see ``average_precision``."""
        found = in_original(outputs, batch.context["fit"])
        objects = [
            np.concatenate([boxes, classes[:, None], 1 - crowd[:, None]], axis=1)
            for boxes, classes, crowd in zip(
                *(batch.context[name] for name in ("boxes", "classes", "crowd")), strict=True
            )
        ]
        return {"found": object_cells(found), "objects": object_cells(objects)}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: ImageAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_detections(
            measured["found"].tolist(),
            measured["objects"].tolist(),
            assets.labels,
            resamples=resamples,
            seed=seed,
        )

    def bundle(self, assets: ImageAssets, reading: DetectImages) -> BundleParts:
        """See ``Bundled``."""
        from aitk.vision.edge.parts import detect_parts

        return detect_parts(assets, reading)

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: ImageAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """Explain the best box, or the best one of class ``target``, with D-RISE (Petsiuk et al.
        2021), which needs predictions only and so supports every format."""
        from aitk.vision.explain.saliency import explain_image

        if target is not None and target not in assets.labels:
            raise unknown_name(target, assets.labels, what="label")
        original = decode_checked(fields["image"])
        fitted, fit = fit_image(original, assets.size, how=assets.fit)
        found = predict([fields])[0]
        if target is not None:
            found = found[found[:, 5] == assets.labels.index(target)]
        if not len(found) or found[0, 4] <= 0:
            nothing = f"no {target} was found" if target else "nothing was found"
            return {"prediction": "", "probability": 0.0, "note": f"{nothing}: nothing to explain"}
        best = found[0]  # sorted by score

        def similarities(images: Sequence[np.ndarray]) -> np.ndarray:
            height, width = assets.size
            same = {"height": height, "width": width}
            rows = [dict(fields) | same | {"image": encode_bmp(each)} for each in images]
            return np.array([similarity(best, each) for each in predict(rows)])

        (rows,) = in_original(best[None, None], fit.to_array()[None])
        prediction = box_prediction(rows[0], assets)
        return {
            "prediction": prediction["label"],
            "probability": prediction["score"],
            "box": ", ".join(f"{side:g}" for side in prediction["box"]),
        } | explain_image(original, fitted, fit, similarities, box=prediction["box"])


def pad_objects(samples: Sequence[Sample]) -> np.ndarray:
    """Padded objects of samples for the losses, (samples, objects, 6); see ``matching``."""
    largest = max(len(sample.boxes) for sample in samples)
    padded = np.zeros((len(samples), PADDING * max(1, -(-largest // PADDING)), 6), np.float32)
    for row, sample in zip(padded, samples, strict=True):
        count = len(sample.boxes)
        row[:count, :4] = sample.boxes
        row[:count, 4] = sample.classes
        row[:count, 5] = 1 - sample.crowd
    return padded


def _fitted_sizes(rows: Sequence[Mapping[str, Any]], assets: ImageAssets) -> np.ndarray:
    """(n, 2) width and height of every training box, in pixels of the resized images."""
    sizes = [np.zeros((0, 2), np.float32)]
    for row in rows:
        boxes = np.asarray(row["boxes"], np.float32).reshape(-1, 4)
        fit = plan_fit((int(row["height"]), int(row["width"])), assets.size, how=assets.fit)
        boxes = fit.boxes_in(boxes)
        sizes.append(boxes[:, 2:] - boxes[:, :2])
    return np.concatenate(sizes)
