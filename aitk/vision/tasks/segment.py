"""Semantic segmentation: the class of every pixel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.options import unknown_name
from aitk.core.contract.task import ONLY_OUTPUT, Batch, Evaluation, Example
from aitk.core.io.images import decode_checked, encode_png
from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.core.metrics.classification import softmax
from aitk.vision.data.formats.run_lengths import encode_runs
from aitk.vision.data.options import SegmentImages
from aitk.vision.decoding.tiling import Score, at_least, label_in_tiles, piece_of, tile_starts
from aitk.vision.explain.drawing import draw_answer
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import GREY, VOID, Fit, fit_image, plan_fit
from aitk.vision.features.sample import Sample
from aitk.vision.metrics.segmentation import count_boundaries, count_confusion, score_masks
from aitk.vision.models.segmenters.settings import (
    DeepLabSettings,
    PspSettings,
    SegmentPredictOptions,
    UNetSettings,
)
from aitk.vision.tasks.image_task import ImageTask, known_classes

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

#: Logits of this many images are held at once: each is as large as the image times classes.
AT_ONCE = 8
#: Masks of this many training rows say how frequent the classes are.
COUNTED_ROWS = 2000


@dataclass(frozen=True)
class Segmented:
    """What a model said of one image, in pixels of the original.

    Attributes:
        mask: (height, width) uint8 class numbers, 255 where it saw nothing.
        certainty: (height, width) float32, the probability of that class.
    """

    mask: np.ndarray
    certainty: np.ndarray


class Segment(ImageTask):
    """Street, tissue, land: what every pixel of an image belongs to."""

    name = "vision.segment"
    reading = SegmentImages
    answer_names = ("classes", "mask")
    answering = SegmentPredictOptions
    models = {"unet": UNetSettings, "deeplabv3plus": DeepLabSettings, "pspnet": PspSettings}
    any_backbone = True
    main_metric = "mean_iou"
    annotation_kinds = frozenset({"mask"})
    required_parameters = frozenset({"loss", "view"})

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
        assets = super().learn(rows, summary, settings, start=start, tables=tables)
        weights: tuple[float, ...] = ()
        if balance:
            from aitk.vision.losses.segmentation import median_frequency_weights

            weights = median_frequency_weights(_count_pixels(rows, assets.labels))
        parameters = {**assets.parameters, "loss": settings.loss, "view": settings.view}
        return dataclasses.replace(assets, weights=weights, parameters=parameters)

    def output_sizes(self, assets: ImageAssets) -> dict[str, int]:
        return {ONLY_OUTPUT: len(assets.labels)}

    def encode(self, fields: Mapping[str, Any], assets: ImageAssets) -> Example:
        """The fitted image and its mask, or both as they are where the model reads tiles.

        ``truth`` is the mask as it is stored, since scores are those of the original's pixels.
        """
        if assets.parameters["view"] == "tiles":
            image = decode_checked(fields["image"])
            fit = plan_fit(image.shape[:2], assets.size, how=assets.fit)
            inputs: dict[str, Any] = {"image": image, "fit": fit.to_array()}
            if "mask" in fields:
                inputs["mask"] = known_classes(fields["mask"], assets.labels)
            return Example(inputs, 1 if "mask" in fields else None)
        example = super().encode(fields, assets)
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
        """Images of the model's size: fitted, or random pieces of them (the middle without
        ``rng``) where it reads tiles. ``context`` keeps what ``infer`` and ``measure`` need."""
        items = examples
        if assets.parameters["view"] == "tiles":
            items = [_piece(example, assets.size, rng) for example in examples]
        batch = super().collate(items, assets, rng=rng, pad_to=pad_to)
        context = {"examples": [example.inputs for example in examples]}
        return dataclasses.replace(batch, context={**batch.context, **context})

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        void = np.full(assets.size, VOID, np.uint8)
        masks = [void if sample.mask is None else sample.mask for sample in samples]
        return np.stack(masks), None

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.vision.models.pretrained import adopt

        adopted = adopt(found)
        if found.kind in ("run", "keras", "weights"):
            return adopted
        # Where a classifier was trained on squares, masks still take whole images.
        return dataclasses.replace(adopted, settings={})

    def build(self, model: str, settings: Any, assets: ImageAssets, *, backbone: Any = None) -> Any:
        from aitk.vision.models import build_backbone
        from aitk.vision.models.segmenters.deeplab import deeplabv3plus
        from aitk.vision.models.segmenters.pspnet import pspnet
        from aitk.vision.models.segmenters.unet import unet
        from aitk.vision.models.transfer import resize_input

        if backbone is None:
            backbone = build_backbone(settings.backbone, settings, assets.size)
        backbone = resize_input(backbone, assets.size)
        shared = {
            "classes": len(assets.labels),
            "width": settings.width,
            "dropout": settings.dropout,
        }
        if model == "unet":
            return unet(backbone, **shared)
        head = {"deeplabv3plus": deeplabv3plus, "pspnet": pspnet}[model]
        return head(backbone, output_stride=settings.output_stride, **shared)

    def objective(self, assets: ImageAssets) -> Any:
        from aitk.vision.losses.segmentation import SegmentationLoss

        return SegmentationLoss(assets.parameters["loss"], assets.weights)

    def teach_batch(self, batch: Batch, outputs: np.ndarray, assets: ImageAssets) -> Batch:
        """Class numbers and logits of every pixel in float16, half the memory of float32."""
        targets = [batch.targets[..., None].astype(np.float16), outputs.astype(np.float16)]
        return dataclasses.replace(batch, targets=np.concatenate(targets, axis=-1))

    def taught_objective(self, assets: ImageAssets, *, teacher: ImageAssets) -> Any:
        from aitk.vision.losses.distillation import (
            MaskDistillationLoss,
            check_same_classes,
            check_same_size,
        )

        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        check_same_size(assets, teacher)
        return MaskDistillationLoss(assets.parameters["loss"], assets.weights)

    def answering_assets(
        self, assets: ImageAssets, asked: SegmentPredictOptions | None
    ) -> ImageAssets:
        """The assets, with the view that was asked for in place of that of the training."""
        if asked is None or asked.view is None:
            return assets
        return dataclasses.replace(assets, parameters={**assets.parameters, "view": asked.view})

    def infer(
        self,
        batch: Batch,
        predict: Callable[[Mapping[str, np.ndarray]], Any],
        assets: ImageAssets,
        *,
        top_k: int = 1,
        asked: SegmentPredictOptions | None = None,
    ) -> list[Segmented]:
        """What the model says of each image of the batch, at its original size."""
        asked = asked or SegmentPredictOptions()
        score = _scorer(lambda images: predict({"image": images}), mirror=asked.mirror)
        if assets.parameters["view"] == "tiles":
            examples = batch.context["examples"]
            return [_look(inputs["image"], assets, score) for inputs in examples]
        found = []
        for start in range(0, len(batch.inputs["image"]), AT_ONCE):
            some = slice(start, start + AT_ONCE)
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
        asked: SegmentPredictOptions | None = None,
    ) -> list[dict[str, Any]]:
        """For each image: ``classes``, the share of its pixels that each has; ``probability``,
        the mean over its pixels; ``mask``, the run lengths of each class in COCO's form."""
        return [_answer(each, assets.labels) for each in outputs]

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
        most = int(np.argmax(_count_pixels(train, assets.labels)))

        def measure(rows: Rows, measured: Measured) -> Measured:
            confusion = np.zeros_like(measured["confusion"])
            confusion[:, :, most] = measured["confusion"].sum(axis=2)
            boundaries = measured["boundaries"] * np.array([0, 0, 1, 0])  # a mask without outlines
            return {"confusion": confusion, "boundaries": boundaries}

        return [Baseline("majority class of the pixels", measure)]

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
            return predict([shape | {"image": encode_png(each)} for each in images])

        found = _look(original, assets, _scorer(logits, mirror=False))
        index = _explained(found, assets.labels, target)
        # The part that the model is shown as one image, and how it became that.
        shown, fit = original, plan_fit(original.shape[:2], assets.size, how=assets.fit)
        fitted = fit_image(original, assets.size, how=assets.fit)[0]
        if assets.parameters["view"] == "tiles":
            fitted = shown = _richest_piece(original, found.mask == index, assets.size)
            fit = plan_fit(assets.size, assets.size, how="stretch")
        scores = softmax(logits(fitted[None]))[0]
        region = scores.argmax(axis=2) == index
        if not region.any():  # asked about a class that it does not see: all pixels, then
            region = np.ones(assets.size, bool)

        def probability(images: Sequence[np.ndarray]) -> np.ndarray:
            values = []
            for start in range(0, len(images), AT_ONCE):
                some = softmax(logits(np.stack(images[start : start + AT_ONCE])))
                values.append(some[..., index][:, region].mean(axis=1))
            return np.concatenate(values)

        importance = None
        if model is not None:
            from aitk.vision.explain.attribution import region_grad_cam

            importance = "Grad-CAM", region_grad_cam(model(), fitted, index, region)
        why = explain_image(shown, fitted, fit, probability, importance=importance)
        answer = _answer(found, assets.labels)
        return {
            "prediction": next(iter(answer["classes"]), ""),
            "explained": assets.labels[index],
            "share": answer["classes"].get(assets.labels[index], 0.0),
            "probability": float(scores[region, index].mean()),
            "classes": answer["classes"],
            **why,
            "pictures": [*_drawings(original, found, fields, assets.labels), *why["pictures"]],
        }


def label_whole(scores: np.ndarray, fit: Fit) -> Segmented:
    """The most probable class of each of the original's pixels.

    Args:
        scores: (h, w, classes) probabilities of the fitted image's pixels.
        fit: how the original was fitted.
    """
    mask = np.full((fit.height, fit.width), VOID, np.uint8)
    certainty = np.zeros((fit.height, fit.width), np.float32)
    # A class at a time: all of them at the original's size would be gigabytes for large ones.
    for number in range(scores.shape[-1]):
        own = fit.mask_out(np.ascontiguousarray(scores[..., number]))
        better = own > certainty  # never where the original was cut off: NaN
        mask[better] = number
        certainty[better] = own[better]
    return Segmented(mask, certainty)


def _look(original: np.ndarray, assets: ImageAssets, score: Score) -> Segmented:
    """What a model says of an image, whole or in tiles."""
    if assets.parameters["view"] == "tiles":
        return Segmented(*label_in_tiles(original, assets.size, score, batch_size=AT_ONCE))
    fitted, fit = fit_image(original, assets.size, how=assets.fit)
    return label_whole(score(fitted[None])[0], fit)


def _scorer(predict: Callable[[np.ndarray], np.ndarray], *, mirror: bool) -> Score:
    """Images (n, h, w, 3) to probabilities (n, h, w, classes), perhaps the mean of both sides."""

    def score(images: np.ndarray) -> np.ndarray:
        scores = softmax(predict(images))
        if mirror:
            turned = softmax(predict(np.ascontiguousarray(images[:, :, ::-1])))
            scores = (scores + turned[:, :, ::-1]) / 2
        return scores

    return score


def _piece(example: Example, size: tuple[int, int], rng: np.random.Generator | None) -> Example:
    """An example of a part of the image, of the model's size."""
    inputs = dict(example.inputs)
    image = inputs["image"]
    mask = inputs.get("mask", np.full(image.shape[:2], VOID, np.uint8))
    inputs["image"], mask = piece_of(image, mask, size, rng=rng)
    if "mask" in inputs:
        inputs["mask"] = mask
    return dataclasses.replace(example, inputs=inputs)


def _explained(found: Segmented, labels: Sequence[str], target: str | None) -> int:
    """The number of the class to explain: the one asked for, else the one with most pixels."""
    if target is None:
        return int(np.bincount(found.mask[found.mask != VOID], minlength=len(labels)).argmax())
    if target not in labels:
        raise unknown_name(target, labels, what="label")
    return list(labels).index(target)


def _richest_piece(original: np.ndarray, region: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The tile (h, w, 3) that holds most pixels of a region (height, width)."""
    image, region = at_least(original, size, fill=GREY), at_least(region, size, fill=0)
    pieces = [
        np.s_[top : top + size[0], left : left + size[1]]
        for top in tile_starts(region.shape[0], size[0])
        for left in tile_starts(region.shape[1], size[1])
    ]
    return image[max(pieces, key=lambda piece: np.count_nonzero(region[piece]))]


def _drawings(
    original: np.ndarray,
    found: Segmented,
    fields: Mapping[str, Any],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """The answer on the image, the true mask where it is known, and where the answer is sure."""
    from aitk.vision.explain.saliency import overlay

    drawn = [("the answer", draw_answer(original, _answer(found, labels), labels=labels))]
    if "mask" in fields:
        truth = Segmented(known_classes(fields["mask"], labels), np.ones_like(found.certainty))
        drawn.append(("the truth", draw_answer(original, _answer(truth, labels), labels=labels)))
    drawn.append(("how sure it is of each pixel", overlay(original, found.certainty)))
    return [{"caption": caption, "png": encode_png(image)} for caption, image in drawn]


def _answer(found: Segmented, labels: Sequence[str]) -> dict[str, Any]:
    seen = found.mask != VOID
    counts = np.bincount(found.mask[seen], minlength=len(labels))
    total = max(1, int(counts.sum()))
    order = [int(number) for number in np.argsort(-counts, kind="stable") if counts[number]]
    return {
        "classes": {labels[number]: round(float(counts[number] / total), 6) for number in order},
        "probability": round(float(found.certainty[seen].mean()) if seen.any() else 0.0, 6),
        "mask": [
            {"label": labels[number], **encode_runs(found.mask == number)} for number in order
        ],
    }


def _count_pixels(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[int]:
    """Pixels of each class in some of the rows, evenly spread over them."""
    counts = np.zeros(VOID + 1, np.int64)
    for number in np.unique(np.linspace(0, len(rows) - 1, COUNTED_ROWS).round().astype(int)):
        png = rows[int(number)]["mask"]
        if not len(png):  # rows with several kinds of annotation may have no mask
            continue
        mask = known_classes(png, labels)
        counts += np.bincount(mask.ravel(), minlength=VOID + 1)
    return counts[: len(labels)].tolist()
