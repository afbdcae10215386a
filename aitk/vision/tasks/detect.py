"""Object detection: where things are in an image, and what they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.task import Batch, Evaluation
from aitk.core.io.images import decode_checked, encode_png
from aitk.vision.data.formats.coco_results import CocoResults
from aitk.vision.data.options import DetectImages
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.boxes import overlaps
from aitk.vision.features.geometry import Fit, fit_image, plan_fit
from aitk.vision.features.sample import Sample
from aitk.vision.metrics.average_precision import score_detections
from aitk.vision.models.detectors.anchors import learn_anchors
from aitk.vision.models.detectors.settings import (
    DetectPredictOptions,
    FasterRcnnSettings,
    SsdSettings,
    YoloSettings,
    parse_strides,
)
from aitk.vision.tasks.image_task import ImageTask

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

#: Anchors of a place, for the models that have them.
ANCHORS = {"ssd": 4, "faster-rcnn": 3}
#: Objects of a batch are padded to a multiple of this, so that few shapes occur.
PADDING = 16


class Detect(ImageTask):
    """Cells, parts, defects, vehicles: a box around each, and its class."""

    name = "vision.detect"
    reading = DetectImages
    answering = DetectPredictOptions
    models = {"yolo": YoloSettings, "ssd": SsdSettings, "faster-rcnn": FasterRcnnSettings}
    any_backbone = True
    main_metric = "map50"
    annotation_kinds = frozenset({"boxes"})
    required_parameters = frozenset({"model"})
    answer_names = ("boxes.score",)

    def __init__(self) -> None:
        super().__init__()
        self.formats = {".json": lambda: CocoResults(lambda: self._counts.category_ids)}

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
        if balance:
            raise UsageError(
                "images with boxes of several classes cannot be balanced", where="--balance"
            )
        assets = super().learn(rows, summary, settings, start=start, tables=tables)
        model = next(name for name, kind in self.models.items() if kind is type(settings))
        parameters: dict[str, Any] = {**assets.parameters, "model": model}
        if "category_ids" in summary:
            parameters["category_ids"] = dict(summary["category_ids"])
        if model in ANCHORS:
            strides = parse_strides(settings.strides)
            sizes = _fitted_sizes(rows, assets)
            parameters["anchors"] = learn_anchors(sizes, strides, each=ANCHORS[model])
        return dataclasses.replace(assets, parameters=parameters)

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return pad_objects(samples), None

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.vision.models.pretrained import adopt

        adopted = adopt(found)
        if found.kind in ("run", "keras", "weights"):
            return adopted
        # A classifier was trained on small squares; detectors take whole images.
        return dataclasses.replace(adopted, settings={})

    def build(self, model: str, settings: Any, assets: ImageAssets, *, backbone: Any = None) -> Any:
        from aitk.vision.models import build_backbone
        from aitk.vision.models.detectors.faster_rcnn import faster_rcnn
        from aitk.vision.models.detectors.ssd import ssd
        from aitk.vision.models.detectors.suppression import Suppression
        from aitk.vision.models.detectors.yolo import yolo
        from aitk.vision.models.transfer import resize_input

        if backbone is None:
            backbone = build_backbone(settings.backbone, settings, assets.size)
        backbone = resize_input(backbone, assets.size)
        shared: dict[str, Any] = {
            "size": assets.size,
            "classes": len(assets.labels),
            "strides": parse_strides(settings.strides),
            "width": settings.width,
            "suppression": Suppression(
                candidates=3 * settings.detections,
                detections=settings.detections,
                overlap=settings.overlap,
            ),
        }
        if model == "yolo":
            return yolo(backbone, **shared)
        sides = assets.parameters["anchors"]
        if model == "ssd":
            return ssd(backbone, sides=sides, **shared)
        return faster_rcnn(backbone, sides=sides, hidden=settings.hidden, **shared)

    def objective(self, assets: ImageAssets) -> Any:
        from aitk.vision.losses.detection import LOSSES

        return LOSSES[assets.parameters["model"]]()

    def lesson(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """What the larger detector tells before boxes compete."""
        import keras

        from aitk.vision.losses.detection_distillation import check_same_positions, raw_outputs

        rows = raw_outputs(teacher)
        check_same_positions(rows, raw_outputs(student))
        return keras.Model(teacher.inputs, rows)

    def teach_batch(self, batch: Batch, outputs: np.ndarray, assets: ImageAssets) -> Batch:
        from aitk.vision.losses.detection_distillation import append_teacher_rows

        return dataclasses.replace(batch, targets=append_teacher_rows(batch.targets, outputs))

    def taught_objective(self, assets: ImageAssets, *, teacher: ImageAssets) -> Any:
        from aitk.vision.losses.detection_distillation import TAUGHT_LOSSES
        from aitk.vision.losses.distillation import check_same_classes, check_same_size

        ours, theirs = assets.parameters["model"], teacher.parameters["model"]
        if ours != theirs:
            raise UsageError(
                f"{theirs} tells boxes in another way than {ours}, and cannot teach it",
                where="--distill",
                hint=f"Take --distill {theirs} with a smaller --set backbone, width or filters",
            )
        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        check_same_size(assets, teacher)
        if assets.parameters.get("anchors") != teacher.parameters.get("anchors"):
            raise UsageError(
                "the model to teach has other anchors than the run",
                where="--distill",
                hint="Add --set strides=... and fit=... as the run has them",
            )
        return TAUGHT_LOSSES[ours]()

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: ImageAssets,
        *,
        top_k: int = 1,
        asked: DetectPredictOptions | None = None,
    ) -> list[dict[str, Any]]:
        """For each image ``boxes``, the best first: ``label``, its ``number``, ``score``, and
        ``box``: x_min, y_min, x_max, y_max in pixels of the original image.

        The number is the category id of the COCO file that the model learnt from, else the place
        of the class from 1.
        """
        asked = asked or DetectPredictOptions()
        return [
            {"boxes": [_told(row, assets) for row in each[: asked.most]]}
            for each in (
                found[found[:, 4] >= max(asked.min_score, 1e-6)]
                for found in in_original(outputs, batch.context["fit"])
            )
        ]

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: ImageAssets
    ) -> dict[str, np.ndarray]:
        """``found`` and ``objects``, an array (n, 6) an image: see ``average_precision``."""
        found = in_original(outputs, batch.context["fit"])
        objects = [
            np.concatenate([boxes, classes[:, None], 1 - crowd[:, None]], axis=1)
            for boxes, classes, crowd in zip(
                *(batch.context[name] for name in ("boxes", "classes", "crowd")), strict=True
            )
        ]
        return {"found": _cells(found), "objects": _cells(objects)}

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

    def explain(
        self,
        fields: Mapping[str, Any],
        predict: Any,
        assets: ImageAssets,
        *,
        target: str | None = None,
        model: Any = None,
    ) -> dict[str, Any]:
        """What the surest box, or the surest of the class ``target``, rests on: D-RISE (Petsiuk
        et al. 2021), which asks for answers alone and so serves every format."""
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
        best = found[0]  # they are in the order of their scores

        def likeness(images: Sequence[np.ndarray]) -> np.ndarray:
            height, width = assets.size
            same = {"height": height, "width": width}
            rows = [dict(fields) | same | {"image": encode_png(each)} for each in images]
            return np.array([_likeness(best, each) for each in predict(rows)])

        told = _told(in_original(best[None, None], fit.to_array()[None])[0][0], assets)
        return {
            "prediction": told["label"],
            "probability": told["score"],
            "box": ", ".join(f"{side:g}" for side in told["box"]),
        } | explain_image(original, fitted, fit, likeness)


def pad_objects(samples: Sequence[Sample]) -> np.ndarray:
    """The objects of samples as losses read them: (samples, most, 6) float32, see ``matching``."""
    most = max(len(sample.boxes) for sample in samples)
    padded = np.zeros((len(samples), PADDING * max(1, -(-most // PADDING)), 6), np.float32)
    for row, sample in zip(padded, samples, strict=True):
        count = len(sample.boxes)
        row[:count, :4] = sample.boxes
        row[:count, 4] = sample.classes
        row[:count, 5] = 1 - sample.crowd
    return padded


def in_original(outputs: np.ndarray, fits: np.ndarray) -> list[np.ndarray]:
    """Detections in pixels of the original images, without the empty rows.

    Args:
        outputs: (batch, detections, 6).
        fits: (batch, 6), how each image was fitted.
    """
    found = []
    for rows, fit in zip(outputs, fits, strict=True):
        rows = rows[rows[:, 4] > 0]
        boxes = Fit.from_array(fit).boxes_out(rows[:, :4])
        found.append(np.concatenate([boxes, rows[:, 4:]], axis=1))
    return found


def _fitted_sizes(rows: Sequence[Mapping[str, Any]], assets: ImageAssets) -> np.ndarray:
    """(n, 2) width and height of every training box, in pixels of the fitted images."""
    sizes = [np.zeros((0, 2), np.float32)]
    for row in rows:
        boxes = np.asarray(row["boxes"], np.float32).reshape(-1, 4)
        fit = plan_fit((int(row["height"]), int(row["width"])), assets.size, how=assets.fit)
        boxes = fit.boxes_in(boxes)
        sizes.append(boxes[:, 2:] - boxes[:, :2])
    return np.concatenate(sizes)


def _told(row: np.ndarray, assets: ImageAssets) -> dict[str, Any]:
    place = int(row[5])
    if not 0 <= place < len(assets.labels):
        raise ArtifactError(
            f"the model finds a class {place + 1}, and there are labels of {len(assets.labels)}",
            hint="Its parts are of different runs",
        )
    ids = assets.parameters.get("category_ids", {})
    numbered = all(label in ids for label in assets.labels)  # ``update`` may have added classes
    return {
        "label": assets.labels[place],
        "number": ids[assets.labels[place]] if numbered else place + 1,
        "score": round(float(row[4]), 6),
        "box": [round(float(side), 2) for side in row[:4]],
    }


def no_detections(images: int) -> np.ndarray:
    """What ``Detect.measure`` keeps as ``found`` of images in which nothing was found."""
    return _cells([np.zeros((0, 6), np.float32)] * images)


def _cells(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """A column whose cells are arrays of different lengths."""
    cells = np.empty(len(arrays), object)
    for place, array in enumerate(arrays):
        cells[place] = array
    return cells


def _likeness(wanted: np.ndarray, found: np.ndarray) -> float:
    """How well a detection is found again: the best overlap times score, of its class."""
    same = found[(found[:, 5] == wanted[5]) & (found[:, 4] > 0)]
    if not len(same):
        return 0.0
    return float((overlaps(same[:, :4], wanted[None, :4])[:, 0] * same[:, 4]).max())
