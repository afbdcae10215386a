"""Semantic segmentation: the class of every pixel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.options import unknown_name
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note
from aitk.core.io.images import decode_checked, encode_bmp, encode_png
from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.core.metrics.classification import softmax
from aitk.vision.data.formats.masks import known_classes
from aitk.vision.data.options import SegmentImages, SegmentPredictOptions
from aitk.vision.decoding.masks import (
    BATCH_SIZE,
    Segmented,
    label_image,
    label_whole,
    mask_prediction,
    pixel_scorer,
)
from aitk.vision.decoding.tiling import at_least, piece_of, tile_starts
from aitk.vision.explain.drawing import draw_prediction
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import GREY, VOID, Fit, fit_image, plan_fit
from aitk.vision.features.sample import Sample
from aitk.vision.metrics.segmentation import count_boundaries, count_confusion, score_masks
from aitk.vision.models.segmenters.specs import SEGMENTERS
from aitk.vision.tasks.image_task import ImageTask

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.edge.parts import BundleParts
    from aitk.core.inference.text_scores import OpenScorer
    from aitk.core.io.prediction_files import PredictionLines

#: Number of training masks used to estimate class frequencies.
COUNTED_ROWS = 2000


class Segment(ImageTask):
    """Street, tissue, land cover: the class of every pixel of an image."""

    name = "vision.segment"
    reading = SegmentImages
    predict_options = SegmentPredictOptions
    models = SEGMENTERS
    metric = Metric("mean_iou")
    annotation_kinds = frozenset({"mask"})
    required_parameters = frozenset({"loss", "view"})
    prediction_fields = ("classes", "mask")
    prediction_formats: Mapping[str, Callable[[], PredictionLines]] = {}

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
        assets = super().learn(rows, summary, settings, start=start, tables=tables, note=note)
        weights: tuple[float, ...] = ()
        if balance:
            from aitk.vision.losses.segmentation import median_frequency_weights

            weights = median_frequency_weights(count_pixels(rows, assets.labels))
        parameters = {**assets.parameters, "loss": settings.loss, "view": settings.view}
        return dataclasses.replace(assets, weights=weights, parameters=parameters)

    def encode_row(self, fields: Mapping[str, Any], assets: ImageAssets) -> Example:
        """The resized image and its mask, or both unchanged if the model reads tiles.

        ``truth`` is the stored mask, since scores are computed on original pixels.
        """
        if assets.parameters["view"] == "tiles":
            image = decode_checked(fields["image"])
            fit = plan_fit(image.shape[:2], assets.size, how=assets.fit)
            inputs: dict[str, Any] = {"image": image, "fit": fit.to_array()}
            if "mask" in fields:
                inputs["mask"] = known_classes(fields["mask"], assets.labels)
            return Example(inputs, 1 if "mask" in fields else None)
        example = super().encode_row(fields, assets)
        if "mask" not in fields:
            return example
        truth = np.frombuffer(fields["mask"], np.uint8)
        return dataclasses.replace(example, inputs={**example.inputs, "truth": truth})

    def collate(
        self,
        examples: Sequence[Example],
        assets: ImageAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Images of the model's input size: resized, or random tiles (central ones without ``rng``)
        if the model reads tiles. ``context`` has the values for ``infer`` and ``measure``."""
        items = examples
        if assets.parameters["view"] == "tiles":
            items = [crop_tile(example, assets.size, rng) for example in examples]
        batch = super().collate(items, assets, rng=rng, pad_to=pad_to)
        context = {"examples": [example.inputs for example in examples]}
        return dataclasses.replace(batch, context={**batch.context, **context})

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        void = np.full(assets.size, VOID, np.uint8)
        masks = [void if sample.mask is None else sample.mask for sample in samples]
        return np.stack(masks), None

    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """The teacher itself: both models read images of the same size."""
        del student
        return teacher

    def add_soft_targets_to_batch(
        self, batch: Batch, outputs: np.ndarray, assets: ImageAssets
    ) -> Batch:
        """Class numbers and logits of every pixel in float16, half the memory of float32."""
        targets = [batch.targets[..., None].astype(np.float16), outputs.astype(np.float16)]
        return dataclasses.replace(batch, targets=np.concatenate(targets, axis=-1))

    def teacher_only(self, example: Example, assets: ImageAssets) -> Example:
        """See ``DistillsUnlabelled``: every pixel is void."""
        return dataclasses.replace(example, target=1)

    def distillation_loss(self, assets: ImageAssets, *, teacher: ImageAssets) -> Any:
        from aitk.vision.losses.distillation import (
            MaskDistillationLoss,
            check_same_classes,
            check_same_size,
        )

        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        check_same_size(assets, teacher)
        return MaskDistillationLoss(assets.parameters["loss"], assets.weights)

    def configure(
        self,
        assets: ImageAssets,
        options: SegmentPredictOptions | None,
        *,
        open_scorer: OpenScorer | None,
    ) -> ImageAssets:
        """The assets with the view from the options instead of that from training."""
        del open_scorer
        if options is None or options.view is None:
            return assets
        return dataclasses.replace(assets, parameters={**assets.parameters, "view": options.view})

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: ImageAssets,
        *,
        top_k: int = 1,
        options: SegmentPredictOptions | None = None,
    ) -> list[Segmented]:
        """The class of each pixel of each image in the batch, at its original size."""
        options = options or SegmentPredictOptions()
        score = pixel_scorer(lambda images: predict({"image": images}), mirror=options.mirror)
        if assets.parameters["view"] == "tiles":
            examples = batch.context["examples"]
            return [label_image(inputs["image"], assets, score) for inputs in examples]
        found = []
        for start in range(0, len(batch.inputs["image"]), BATCH_SIZE):
            some = slice(start, start + BATCH_SIZE)
            scores = score(batch.inputs["image"][some])
            for each, fit in zip(scores, batch.context["fit"][some], strict=True):
                found.append(label_whole(each, Fit.from_array(fit)))
        return found

    def decode(
        self,
        batch: Batch,
        outputs: Sequence[Segmented],
        assets: ImageAssets,
        *,
        top_k: int = 1,
        options: SegmentPredictOptions | None = None,
    ) -> list[dict[str, Any]]:
        """For each image: ``classes``, the share of pixels per class; ``probability``, the mean
        over its pixels; ``mask``, the run lengths of each class in COCO form."""
        return [mask_prediction(each, assets.labels) for each in outputs]

    def measure(
        self, batch: Batch, outputs: Sequence[Segmented], assets: ImageAssets
    ) -> dict[str, np.ndarray]:
        classes = len(assets.labels)
        confusions, boundaries = [], []
        for inputs, found in zip(batch.context["examples"], outputs, strict=True):
            truth = inputs["mask"]
            if "truth" in inputs:
                truth = known_classes(inputs["truth"].tobytes(), assets.labels)
            confusions.append(count_confusion(truth, found.mask, classes))
            boundaries.append(count_boundaries(truth, found.mask, classes))
        return {"confusion": np.stack(confusions), "boundaries": np.stack(boundaries)}

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: ImageAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        return score_masks(
            measured["confusion"],
            measured["boundaries"],
            assets.labels,
            resamples=resamples,
            seed=seed,
        )

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: ImageAssets
    ) -> list[Baseline]:
        largest = int(np.argmax(count_pixels(train, assets.labels)))

        def measure(rows: Rows, measured: Measured) -> Measured:
            confusion = np.zeros_like(measured["confusion"])
            confusion[:, :, largest] = measured["confusion"].sum(axis=2)
            boundaries = measured["boundaries"] * np.array([0, 0, 1, 0])  # a mask without outlines
            return {"confusion": confusion, "boundaries": boundaries}

        return [Baseline("majority class of the pixels", measure)]

    def bundle(self, assets: ImageAssets, reading: SegmentImages) -> BundleParts:
        """See ``Bundled``."""
        from aitk.vision.edge.parts import segment_parts

        return segment_parts(assets, reading)

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

        original = decode_checked(fields["image"])
        rows, columns = assets.size

        def logits(images: np.ndarray) -> np.ndarray:
            shape = {"height": rows, "width": columns}
            return predict([shape | {"image": encode_bmp(each)} for each in images])

        found = label_image(original, assets, pixel_scorer(logits, mirror=False))
        index = explained_class(found, assets.labels, target)
        # The crop that the model reads as one image, and how it was resized.
        shown, fit = original, plan_fit(original.shape[:2], assets.size, how=assets.fit)
        fitted = fit_image(original, assets.size, how=assets.fit)[0]
        if assets.parameters["view"] == "tiles":
            fitted = shown = richest_tile(original, found.mask == index, assets.size)
            fit = plan_fit(assets.size, assets.size, how="stretch")
        scores = softmax(logits(fitted[None]))[0]
        region = scores.argmax(axis=2) == index
        if not region.any():  # the target class is absent: use all pixels
            region = np.ones(assets.size, bool)

        def probability(images: Sequence[np.ndarray]) -> np.ndarray:
            values = []
            for start in range(0, len(images), BATCH_SIZE):
                some = softmax(logits(np.stack(images[start : start + BATCH_SIZE])))
                values.append(some[..., index][:, region].mean(axis=1))
            return np.concatenate(values)

        importance = None
        if model is not None:
            from aitk.vision.explain.attribution import region_grad_cam

            importance = "Grad-CAM", region_grad_cam(model(), fitted, index, region)
        why = explain_image(shown, fitted, fit, probability, importance=importance)
        prediction = mask_prediction(found, assets.labels)
        return {
            "prediction": next(iter(prediction["classes"]), ""),
            "explained": assets.labels[index],
            "share": prediction["classes"].get(assets.labels[index], 0.0),
            "probability": float(scores[region, index].mean()),
            "classes": prediction["classes"],
            **why,
            "pictures": [
                *draw_explanation(original, found, fields, assets.labels),
                *why["pictures"],
            ],
        }


def crop_tile(example: Example, size: tuple[int, int], rng: np.random.Generator | None) -> Example:
    """Crop an example to the model's input size."""
    inputs = dict(example.inputs)
    image = inputs["image"]
    mask = inputs.get("mask", np.full(image.shape[:2], VOID, np.uint8))
    inputs["image"], mask = piece_of(image, mask, size, rng=rng)
    if "mask" in inputs:
        inputs["mask"] = mask
    return dataclasses.replace(example, inputs=inputs)


def explained_class(found: Segmented, labels: Sequence[str], target: str | None) -> int:
    """The number of the class to explain: the target, or the one with most pixels."""
    if target is None:
        return int(np.bincount(found.mask[found.mask != VOID], minlength=len(labels)).argmax())
    if target not in labels:
        raise unknown_name(target, labels, what="label")
    return list(labels).index(target)


def richest_tile(original: np.ndarray, region: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The tile (h, w, 3) with most pixels of a region (height, width)."""
    image, region = at_least(original, size, fill=GREY), at_least(region, size, fill=0)
    pieces = [
        np.s_[top : top + size[0], left : left + size[1]]
        for top in tile_starts(region.shape[0], size[0])
        for left in tile_starts(region.shape[1], size[1])
    ]
    return image[max(pieces, key=lambda piece: np.count_nonzero(region[piece]))]


def draw_explanation(
    original: np.ndarray,
    found: Segmented,
    fields: Mapping[str, Any],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """The prediction, the true mask if known, and the certainty, each drawn on the image."""
    from aitk.vision.explain.saliency import overlay

    drawn = [("prediction", found)]
    if "mask" in fields:
        truth = Segmented(known_classes(fields["mask"], labels), np.ones_like(found.certainty))
        drawn.append(("truth", truth))
    images = {
        caption: draw_prediction(original, mask_prediction(each, labels), labels=labels)
        for caption, each in drawn
    }
    images["probability of the predicted class"] = overlay(original, found.certainty)
    return [{"caption": caption, "png": encode_png(image)} for caption, image in images.items()]


def count_pixels(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[int]:
    """Pixels per class in some of the rows, evenly sampled."""
    counts = np.zeros(VOID + 1, np.int64)
    for number in np.unique(np.linspace(0, len(rows) - 1, COUNTED_ROWS).round().astype(int)):
        png = rows[int(number)]["mask"]
        if not len(png):  # multi-task rows may have no mask
            continue
        mask = known_classes(png, labels)
        counts += np.bincount(mask.ravel(), minlength=VOID + 1)
    return counts[: len(labels)].tolist()
