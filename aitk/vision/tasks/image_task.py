"""Common base of the image tasks: reading, storage, assets, batches, drawings, new classes."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.label_task import UNSEEN, balanced_weights
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Note, Task
from aitk.core.io.images import decode_checked
from aitk.vision.data.formats.masks import known_classes, mask_names
from aitk.vision.data.quality.inspection import ImageInspector
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import ReadingCounts
from aitk.vision.explain.drawing import draw_prediction
from aitk.vision.features.affine import clip_sample
from aitk.vision.features.assets import FILE, ImageAssets, load_image_assets
from aitk.vision.features.augment import augment
from aitk.vision.features.augment_settings import augmentation_settings
from aitk.vision.features.geometry import Fit, fit_image, fit_mask
from aitk.vision.features.sample import Sample
from aitk.vision.features.threads import in_threads
from aitk.vision.metrics.detection_errors import find_box_errors
from aitk.vision.models.settings import parse_size

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained

NO_LABEL = -2  # label of an unlabelled row among labelled ones
#: Annotation kinds, and the minimum number of classes needed to train on each.
MIN_CLASSES = {"label": 2, "boxes": 1, "mask": 2, "score": 0}


class ImageTask(Task[ImageAssets]):
    """Images are stored unchanged, decoded and resized when encoded, and augmented batch by
    batch.

    An instance counts what its reader leaves out, for the findings of its inspector.
    """

    content = "image"
    fixed_length = True
    #: The stored annotation kinds: ``label``, ``boxes``, ``mask`` (with several, each row has any
    #: of them); or ``score``.
    annotation_kinds: ClassVar[frozenset[str]]
    #: Required parameters of its assets.
    required_parameters: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._counts = ReadingCounts()
        self._drawn_labels: tuple[str, ...] = ()  # they determine the colours of drawings

    @abstractmethod
    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[Any, np.ndarray | None]:
        """The targets of samples, and their weights in the loss.

        Args:
            samples: of the model's input size, augmented in training, with boxes inside the image.

        Returns:
            Targets in the form of the loss, and weights (samples,) or None for equal ones; the
            caller multiplies in those of ``--balance``.
        """

    def read(
        self, sources: Sequence[str], reading: Any, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        self._counts = ReadingCounts()
        items = read_images(
            sources,
            reading,
            annotation_kinds=self.annotation_kinds,
            labelled=labelled,
            note=note,
            counts=self._counts,
        )
        return items if labelled else self._with_notes(items, note)

    def _with_notes(self, items: Iterator[Row | Refusal], note: Note) -> Iterator[Row | Refusal]:
        """Add notes on what was left out: prediction reports no findings."""
        for item in items:
            for sentence in self._counts.notes():
                note(sentence)
            yield item
        for sentence in self._counts.notes():
            note(sentence)

    def reading_counts(self) -> dict[str, Any]:
        return self._counts.as_json()

    def set_reading_counts(self, parts: Sequence[Mapping[str, Any]]) -> list[str]:
        self._counts = ReadingCounts.from_json(parts[0])  # every process reads all images
        return []

    def key(self, fields: Mapping[str, Any]) -> str:
        return hashlib.sha256(fields["image"]).hexdigest()[:32]

    def inspector(self, reading: Any) -> ImageInspector:
        return ImageInspector(reading, annotation_kinds=self.annotation_kinds, counts=self._counts)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        self._check_classes(summary)
        data = tfds.features.Tensor(shape=(), dtype=np.object_)
        features = {
            "image": data,
            "name": tfds.features.Text(),
            "height": np.int32,
            "width": np.int32,
        }
        if self._mixed:
            names = tfds.features.Text()
            features["boxes_known"] = np.int32
        elif self.annotation_kinds & {"label", "boxes"}:
            # Labels only in held-out rows come last: they are stored, although no model has them.
            labels = summary["labels"]
            unseen = sorted(set().union(*summary["label_counts"].values()) - set(labels))
            names = tfds.features.ClassLabel(names=[*labels, *unseen])
        if "label" in self.annotation_kinds:
            features["label"] = names
        if "score" in self.annotation_kinds:
            features["score"] = np.float32
        if "boxes" in self.annotation_kinds:
            features["boxes"] = tfds.features.Tensor(shape=(None, 4), dtype=np.float32)
            features["box_labels"] = tfds.features.Sequence(names)
            features["crowd"] = tfds.features.Tensor(shape=(None,), dtype=np.int32)
        if "mask" in self.annotation_kinds:
            features["mask"] = data
        return features

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
        labels = tuple(summary.get("labels", ())) if self.annotation_kinds else ()
        parameters = {"label_sets": dict(summary["label_sets"])} if self._mixed else {}
        return ImageAssets(
            size=parse_size(settings.image_size),
            fit=settings.fit,
            augment=augmentation_settings(settings),
            labels=labels,
            weights=balanced_weights(summary, labels) if balance and labels else (),
            parameters=parameters,
        )

    def load_assets(self, folder: Path) -> ImageAssets:
        assets = load_image_assets(folder)
        self.check_parameters(assets, where=str(folder / FILE))
        names = [name for kind in MIN_CLASSES for name in assets.labels_of(kind)]
        self._drawn_labels = tuple(dict.fromkeys(names))
        return assets

    def check_parameters(self, assets: ImageAssets, *, where: str) -> None:
        """Raise ``ArtifactError`` if a required parameter is missing from the assets."""
        if missing := self.required_parameters - assets.parameters.keys():
            raise ArtifactError(f"lacks parameters.{min(missing)}", where=where)

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: ImageAssets) -> list[Example]:
        """Decode and resize images, in threads if they are large."""
        pixels = sum(int(row["height"]) * int(row["width"]) for row in rows)
        return in_threads(
            lambda row: self.encode_row(row, assets), rows, pixels=pixels // max(1, len(rows))
        )

    def encode_row(self, fields: Mapping[str, Any], assets: ImageAssets) -> Example:
        """One image, decoded and resized, with annotations in pixels of the resized image.

        ``inputs`` has ``image`` (h, w, 3) uint8 and ``fit`` (6,), and if known ``boxes`` (n, 4),
        not clipped, with ``classes`` and ``crowd`` (n,), and ``mask`` (h, w) uint8; if rows may
        have any of these, also ``label`` and ``boxes_known``, as numbers. ``target`` is 1, or None
        for a row without annotations.
        """
        image, fit = fit_image(decode_checked(fields["image"]), assets.size, how=assets.fit)
        inputs: dict[str, Any] = {"image": image, "fit": fit.to_array()}
        known = self.annotation_kinds & set(fields)
        if "boxes" in known:
            boxes = np.asarray(fields["boxes"], np.float32).reshape(-1, 4)
            numbers = _numbers(fields["box_labels"], assets.labels_of("boxes"))
            inputs["boxes"] = fit.boxes_in(boxes)
            inputs["classes"] = np.array(numbers, np.int32)
            inputs["crowd"] = np.asarray(fields["crowd"], np.int32)
        if "mask" in known and len(fields["mask"]):
            mask = known_classes(fields["mask"], assets.labels_of("mask"))
            inputs["mask"] = fit_mask(mask, fit, assets.size)
        if self._mixed:
            label = fields.get("label") or None
            number = _numbers([label], assets.labels_of("label"))[0] if label else NO_LABEL
            inputs["label"] = np.int32(number)
            inputs["boxes_known"] = np.int32(fields.get("boxes_known", 0))
        return Example(inputs, 1 if known or not self.annotation_kinds else None)

    def length(self, example: Example) -> int:
        return 1

    def collate(
        self,
        examples: Sequence[Example],
        assets: ImageAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        """Stack images, augmented if ``rng`` is given.

        ``context`` has ``fit`` (batch, 6), and for rows with boxes the lists ``boxes`` (in pixels
        of the originals), ``classes`` and ``crowd``, with one array per row.
        """
        samples = [self._sample(item) for item in examples]
        if rng is None:
            samples = [clip_sample(sample) for sample in samples]
        else:
            samples = augment(samples, assets.augment, rng)
        inputs = {"image": np.stack([sample.image for sample in samples])}
        context: dict[str, Any] = {"fit": np.stack([item.inputs["fit"] for item in examples])}
        if all("boxes" in item.inputs for item in examples):
            context["boxes"] = [
                Fit.from_array(item.inputs["fit"]).boxes_out(item.inputs["boxes"])
                for item in examples
            ]
            context["classes"] = [item.inputs["classes"] for item in examples]
            context["crowd"] = [item.inputs["crowd"] for item in examples]
        if any(item.target is None for item in examples):
            return Batch(inputs, context=context)
        own = np.array([item.weight for item in examples], np.float32)
        targets, weights = self.targets(samples, assets)
        return Batch(inputs, targets, own if weights is None else own * weights, context)

    def joins_rows(self, assets: ImageAssets) -> str | None:
        """See ``JoinsRows``."""
        joining = ("mosaic", "mixup")
        return next((name for name in joining if getattr(assets.augment, name)), None)

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: ImageAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: Any,
    ) -> tuple[ImageAssets, Iterator[Row | Refusal]]:
        """Append classes unseen in training to the known ones."""
        gathered = list(items)
        rows = [item.fields for item in gathered if isinstance(item, Row)]
        for kind in sorted(self.annotation_kinds):
            labels = assets.labels_of(kind)
            if not labels:  # the model has no head for this kind
                continue
            new = sorted(set().union(*(_labels_in(row, kind) for row in rows)) - set(labels))
            if new:
                assets = assets.with_labels(kind, (*labels, *new))
        return assets, iter(gathered)

    def label_shares(self, target: Any) -> tuple[int, Mapping[int, float] | None]:
        """The label and ``shares`` of a ``Sample`` whose target is a class."""
        return int(target), None

    def draw(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> np.ndarray | None:
        """Draw the prediction on its image, with box errors if the row has the truth."""
        image = decode_checked(fields["image"])
        errors = find_box_errors(prediction, fields)
        return draw_prediction(image, prediction, labels=self._drawn_labels, errors=errors)

    def summarize(self, fields: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """The number of box errors, and the prediction without its mask of run lengths."""
        shown = {name: value for name, value in prediction.items() if name != "mask"}
        errors = find_box_errors(prediction, fields)
        if errors is None:
            return shown
        return {"missed": len(errors.missed), "false_boxes": sum(errors.false)} | shown

    @property
    def _mixed(self) -> bool:
        """Whether rows may have several annotation kinds."""
        return len(self.annotation_kinds) > 1

    def _check_classes(self, summary: Mapping[str, Any]) -> None:
        found = {kind: summary.get("labels", []) for kind in self.annotation_kinds}
        if self._mixed:
            found = {kind: names for kind, names in summary["label_sets"].items() if names}
            if not found:
                raise DataError("the training rows have no label, no boxes and no mask")
        if reason := summary.get("look_binary"):
            raise DataError(
                reason, hint="Add --binary-masks: black is the first class, white the second"
            )
        for kind, names in found.items():
            if len(names) < MIN_CLASSES[kind]:
                found_names = f"only the class {names[0]!r}" if names else "no class"
                raise DataError(
                    f"the training rows hold {found_names} ({kind}): at least two are needed",
                    hint="Check the report of aitk prepare: were the annotations found?",
                )

    def _sample(self, example: Example) -> Sample:
        inputs = example.inputs
        parts = {name: inputs[name] for name in ("boxes", "classes", "crowd") if name in inputs}
        label: int | None = None
        shares: Mapping[int, float] | None = None
        if self._mixed:
            number = int(inputs["label"])
            label = None if number == NO_LABEL else number
        elif self.annotation_kinds in ({"label"}, {"score"}) and example.target is not None:
            label, shares = self.label_shares(example.target)
        return Sample(
            image=inputs["image"],
            label=label,
            shares=shares,
            mask=inputs.get("mask"),
            boxes_known=bool(inputs.get("boxes_known", "boxes" in inputs)),
            **parts,
        )


def _numbers(names: Iterable[str], labels: Sequence[str]) -> list[int]:
    return [labels.index(name) if name in labels else UNSEEN for name in names]


def _labels_in(fields: Mapping[str, Any], kind: str) -> set[str]:
    """The classes of one kind in a row."""
    if kind == "label":
        return set(fields["labels"]) if "labels" in fields else {fields["label"]} - {""}
    if kind == "boxes":
        return set(fields["box_labels"])
    return set(mask_names(fields["mask"])) if len(fields["mask"]) else set()
