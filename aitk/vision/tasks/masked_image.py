"""Masked-image pretraining (He et al. 2022; Tian et al. 2023): predict masked patches.

Transformers are trained as masked autoencoders (MAE): they read only visible patches.
Convolutional networks ignore the masked patches in every layer (SparK): if they were merely painted
over, as in SimMIM (Xie et al. 2022), each layer would erase more of the mask (Tian et al. 2023).
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.task import Batch, Evaluation, Example, Metric, Note
from aitk.core.io.images import decode_checked, encode_png
from aitk.core.metrics.statistics import bootstrap_scores
from aitk.vision.data.options import MaskedImagePredictOptions, UnlabelledImages
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import resized
from aitk.vision.features.patches import (
    choose_visible,
    fill_in,
    hidden_pixels,
    normalise_patches,
    own_rng,
    patch_statistics,
)
from aitk.vision.features.sample import Sample
from aitk.vision.models.masked_specs import MASKED_MODELS, MaskedVitSettings, place_side
from aitk.vision.tasks.image_task import ImageTask

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

#: Convolutions may have a map at pixel resolution, but patches of one pixel leave nothing to
#: predict.
MIN_PATCH = 4
#: Colour of masked pixels in drawings.
HOLE = 128
SHOWN_SIDE = 128  # small images are enlarged to this size in drawings
IMAGES = 12  # drawings per evaluation
#: Values stored during evaluation for drawings, one image per batch.
DRAWING = "drawing"


class MaskedImage(ImageTask):
    """Pretraining on images without labels; predictions fill in masked patches.

    The main metric is the mean squared error of the masked pixels, with each patch standardised:
    1 for a model that predicts the mean of each patch, which is given. ``shades`` is the root
    mean squared error in grey levels from 0 to 255.
    """

    name = "vision.masked-image"
    annotation_kinds = frozenset()
    required_parameters = frozenset({"patch", "shown"})
    reading = UnlabelledImages
    predict_options = MaskedImagePredictOptions
    models = MASKED_MODELS
    metric = Metric("error", higher_is_better=False, is_rate=False)

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
        assets = super().learn(
            rows, summary, settings, start=start, balance=balance, tables=tables, note=note
        )
        backbone = start.backbone if start else None
        if backbone is not None:
            patch = backbone.input_shape[1] // backbone.output.shape[1]
        else:
            patch = place_side(settings, assets.size)
        if not isinstance(settings, MaskedVitSettings):
            patch = max(patch, MIN_PATCH)
        height, width = assets.size
        if height % patch or width % patch or max(height, width) == patch:
            raise UsageError(
                f"images of {height} x {width} pixels are not divisible into patches of {patch}",
                where="image_size",
                hint=f"Use a multiple of {patch}, such as {8 * patch}",
            )
        patches = height // patch * (width // patch)
        shown = min(max(1, round((1 - settings.mask_share) * patches)), patches - 1)
        return dataclasses.replace(
            assets, parameters={**assets.parameters, "patch": patch, "shown": shown}
        )

    def targets(self, samples: Sequence[Sample], assets: ImageAssets) -> tuple[Any, None]:
        """The pixels (batch, h, w, 3) float32, each patch standardised."""
        images = np.stack([sample.image for sample in samples])
        return normalise_patches(images, patch=assets.parameters["patch"]), None

    def collate(
        self,
        examples: Sequence[Example],
        assets: ImageAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Stack images and draw visible patches: at random with ``rng``, else reproducibly.

        ``weights`` (batch, h, w) are 0 for visible pixels, and 1 on average.
        """
        batch = super().collate(examples, assets, rng=rng, pad_to=pad_to)
        images = batch.inputs["image"]
        patch, shown = assets.parameters["patch"], assets.parameters["shown"]
        patches = assets.size[0] // patch * (assets.size[1] // patch)
        if rng is not None:
            visible = choose_visible(len(images), patches, shown=shown, rng=rng)
        else:
            own = [choose_visible(1, patches, shown=shown, rng=own_rng(each)) for each in images]
            visible = np.concatenate(own)
        weights = hidden_pixels(visible, assets.size, patch=patch).astype(np.float32)
        # The loss is a mean over all pixels; the weights turn it into the mean over masked ones.
        weights *= patches / (patches - shown)
        return dataclasses.replace(
            batch, inputs=batch.inputs | {"visible": visible}, weights=weights
        )

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: ImageAssets,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """The error of each image; with ``options`` (``predict``) also the patch size, the numbers
        of the visible patches, and the filled-in image."""
        hidden, patch = _hidden(batch, assets), assets.parameters["patch"]
        errors = _row_errors(outputs, np.asarray(batch.targets), hidden)
        predictions: list[dict[str, Any]] = [
            {"prediction": round(float(each), 6)} for each in errors
        ]
        if options is None:
            return predictions
        for prediction, visible in zip(predictions, batch.inputs["visible"], strict=True):
            prediction |= {"patch": patch, "visible": visible.tolist()}
        if options.filled:
            filled = fill_in(batch.inputs["image"], outputs, hidden, patch=patch)
            for prediction, image in zip(predictions, filled, strict=True):
                prediction["filled"] = base64.b64encode(encode_png(image)).decode("ascii")
        return predictions

    def draw(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> np.ndarray | None:
        """The masked input, the filled-in image and the original, side by side."""
        if "filled" not in prediction:
            return None
        filled = decode_checked(base64.b64decode(prediction["filled"]))
        visible = np.array([prediction["visible"]], np.int32)
        hidden = hidden_pixels(visible, filled.shape[:2], patch=prediction["patch"])[0]
        original = resized(decode_checked(fields["image"]), filled.shape[:2])
        return side_by_side(filled, hidden, original)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: ImageAssets
    ) -> dict[str, np.ndarray]:
        """Errors per row, and a drawing of the first row of the batch, to limit the page size."""
        images, targets = batch.inputs["image"], np.asarray(batch.targets)
        hidden, patch = _hidden(batch, assets), assets.parameters["patch"]
        _, deviation = patch_statistics(images, patch=patch)
        drawings = np.full(len(images), b"", object)
        first = fill_in(images[:1], outputs[:1], hidden[:1], patch=patch)[0]
        drawings[0] = encode_png(side_by_side(first, hidden[0], images[0]))
        return {
            "error": _row_errors(outputs, targets, hidden),
            "squared_shades": _row_errors(outputs * deviation, targets * deviation, hidden),
            DRAWING: drawings,
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: ImageAssets,
        *,
        resamples: int = 0,
        seed: int = 0,
    ) -> Evaluation:
        sums = np.stack([measured["error"], measured["squared_shades"]], axis=1)  # (rows, 2)

        def statistics(counts: np.ndarray) -> np.ndarray:
            means = counts @ sums / counts.sum(axis=1, keepdims=True)
            return np.stack([means[:, 0], np.sqrt(means[:, 1])], axis=1)

        scores = bootstrap_scores(statistics, len(sums), resamples=resamples, seed=seed)
        return Evaluation(
            metrics=dict(zip(("error", "shades"), scores, strict=True)),
            per_row=measured["error"],
            details={"pictures": _images(measured)},
        )


def side_by_side(filled: np.ndarray, hidden: np.ndarray, original: np.ndarray) -> np.ndarray:
    """The masked input, filled-in image and original: three images (h, w, 3) uint8 as one.

    Small images are enlarged, so that their pixels are visible.
    """
    masked = np.where(hidden[..., None], np.uint8(HOLE), original)
    factor = max(1, SHOWN_SIDE // max(original.shape[:2]))
    parts = [
        each.repeat(factor, axis=0).repeat(factor, axis=1) for each in (masked, filled, original)
    ]
    gap = np.full((len(parts[0]), 4, 3), 255, np.uint8)
    return np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)


def _hidden(batch: Batch, assets: ImageAssets) -> np.ndarray:
    return hidden_pixels(batch.inputs["visible"], assets.size, patch=assets.parameters["patch"])


def _row_errors(outputs: np.ndarray, targets: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(batch,) mean squared error over the masked pixels of each image."""
    squares = ((outputs - targets) ** 2).mean(axis=-1) * hidden
    return squares.sum(axis=(1, 2)) / hidden.sum(axis=(1, 2))


def _images(measured: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Drawings from the best filled-in image to the worst."""
    drawn = np.flatnonzero([bool(drawing) for drawing in measured[DRAWING]])
    drawn = drawn[np.argsort(measured["error"][drawn], kind="stable")]
    places = np.unique(np.linspace(0, len(drawn) - 1, min(IMAGES, len(drawn))).round().astype(int))
    return [
        {
            "caption": f"shown, filled in, original; error {measured['error'][row]:.3f}",
            "png": measured[DRAWING][row],
        }
        for row in drawn[places]
    ]
