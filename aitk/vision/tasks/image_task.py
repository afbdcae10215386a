"""What the tasks on images share: reading, rows, assets, batches, drawings, new classes."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Task
from aitk.core.io.images import decode_checked
from aitk.vision.data.formats.masks import decode_mask, mask_names
from aitk.vision.data.quality.inspection import ImageInspector
from aitk.vision.data.reading import read_images
from aitk.vision.data.reading_counts import ReadingCounts
from aitk.vision.explain.drawing import draw_answer
from aitk.vision.features.affine import clip_sample
from aitk.vision.features.assets import FILE, ImageAssets, load_image_assets
from aitk.vision.features.augment import augment
from aitk.vision.features.augment_settings import augmentation_settings
from aitk.vision.features.geometry import VOID, Fit, fit_image, fit_mask
from aitk.vision.features.sample import Sample
from aitk.vision.features.threads import in_threads
from aitk.vision.metrics.detection_errors import find_faults
from aitk.vision.models.settings import VARIATION, parse_size

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained

UNSEEN = -1  # the number of a class that training never saw
NONE = -2  # the label of a row that has none among rows that may have one
#: Kinds of annotation, and how many classes of each there must be to learn anything.
MIN_CLASSES = {"label": 2, "boxes": 1, "mask": 2}


class ImageTask(Task):
    """Images are stored as they were found, decoded and fitted when they are encoded, and
    varied batch by batch."""

    content = "image"
    # Of a run's settings those are kept that shape its network or fit its images. What keeps it
    # from learning them by heart is left behind as well.
    not_handed_on = VARIATION | {"dropout", "smoothing", "loss", "mask_loss"}
    asks_each_batch = True
    one_length = True
    #: Which kinds of annotation are stored: ``label``, ``boxes``, ``mask``. With several, each
    #: row carries any of them.
    annotation_kinds: ClassVar[frozenset[str]]
    #: What it keeps in the parameters of its assets, and cannot do without.
    required_parameters: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._counts = ReadingCounts()
        self._drawn_labels: tuple[str, ...] = ()  # which decide the colours of drawings

    @abstractmethod
    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[Any, np.ndarray | None]:
        """What the model should put out for samples, and the weight of each in the loss.

        Args:
            samples: of the model's size, varied in training; their boxes lie inside the image.

        Returns:
            Targets as the loss reads them, and weights (samples,) or None for equal ones; those
            of ``--balance`` are multiplied in by the caller.
        """

    def read(
        self, sources: Sequence[str], reading: Any, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        self._counts = ReadingCounts()
        items = read_images(
            sources,
            reading,
            annotation_kinds=self.annotation_kinds,
            labelled=labelled,
            notes=self._notes,
            counts=self._counts,
        )
        return items if labelled else self._with_notes(items)

    def _with_notes(self, items: Iterator[Row | Refusal]) -> Iterator[Row | Refusal]:
        """The same, what was left out told in notes: where nobody asks for findings."""
        for item in items:
            self._notes += self._counts.notes()
            yield item
        self._notes += self._counts.notes()

    def reading_notes(self) -> list[str]:
        notes, self._notes[:] = list(self._notes), []
        return notes

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
            # Labels that only held-out rows have come last: stored, though no model knows them.
            labels = summary["labels"]
            unseen = sorted(set().union(*summary["label_counts"].values()) - set(labels))
            names = tfds.features.ClassLabel(names=[*labels, *unseen])
        if "label" in self.annotation_kinds:
            features["label"] = names
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
    ) -> ImageAssets:
        labels = tuple(summary.get("labels", ())) if self.annotation_kinds else ()
        weights: tuple[float, ...] = ()
        if balance and labels:
            counts = summary["label_counts"]["train"]
            total = sum(counts.values())
            weights = tuple(total / (len(labels) * counts.get(label, 1)) for label in labels)
        parameters = {"label_sets": dict(summary["label_sets"])} if self._mixed else {}
        return ImageAssets(
            size=parse_size(settings.image_size),
            fit=settings.fit,
            augment=augmentation_settings(settings),
            labels=labels,
            weights=weights,
            parameters=parameters,
        )

    def load_assets(self, folder: Path) -> ImageAssets:
        assets = load_image_assets(folder)
        self.check_parameters(assets, where=str(folder / FILE))
        names = [name for kind in MIN_CLASSES for name in assets.labels_of(kind)]
        self._drawn_labels = tuple(dict.fromkeys(names))
        return assets

    def check_parameters(self, assets: ImageAssets, *, where: str) -> None:
        """Raise an ``ArtifactError`` unless the assets hold what the task keeps in them."""
        if missing := self.required_parameters - assets.parameters.keys():
            raise ArtifactError(f"lacks parameters.{min(missing)}", where=where)

    def encode(self, fields: Mapping[str, Any], assets: ImageAssets) -> Example:
        """One image, decoded and fitted, its annotation in pixels of the fitted image.

        ``inputs`` hold ``image`` (h, w, 3) uint8 and ``fit`` (6,), and where they are known
        ``boxes`` (n, 4), not clipped, with ``classes`` and ``crowd`` (n,), and ``mask`` (h, w)
        uint8; where rows carry any of these, ``label`` and ``boxes_known`` too, as numbers.
        ``target`` is the number of the class where there is nothing but a label; else 1, or None
        for a row of which nothing is known.
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
            number = _numbers([label], assets.labels_of("label"))[0] if label else NONE
            inputs["label"] = np.int32(number)
            inputs["boxes_known"] = np.int32(fields.get("boxes_known", 0))
            return Example(inputs, 1 if known else None)
        if self.annotation_kinds == {"label"}:
            return _labelled(inputs, fields, assets)
        return Example(inputs, 1 if known or not self.annotation_kinds else None)

    def encode_many(self, rows: Sequence[Mapping[str, Any]], assets: ImageAssets) -> list[Example]:
        pixels = sum(int(row["height"]) * int(row["width"]) for row in rows)
        return in_threads(
            lambda row: self.encode(row, assets), rows, pixels=pixels // max(1, len(rows))
        )

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
        """Stack images, varied where ``rng`` is given.

        ``context`` holds ``fit`` (batch, 6), and where boxes are known the lists ``boxes``, in
        pixels of the originals, ``classes`` and ``crowd`` of arrays, one a row.
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

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: ImageAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: Any,
    ) -> tuple[ImageAssets, Iterator[Row | Refusal]]:
        """Classes that training never saw are new ones, after those it knew."""
        gathered = list(items)
        rows = [item.fields for item in gathered if isinstance(item, Row)]
        for kind in sorted(self.annotation_kinds):
            labels = assets.labels_of(kind)
            if not labels:  # the model has no head for these
                continue
            new = sorted(set().union(*(_labels_in(row, kind) for row in rows)) - set(labels))
            if new:
                assets = assets.with_labels(kind, (*labels, *new))
                self._notes.append(f"new classes: {', '.join(new)}")
        return assets, iter(gathered)

    def grow(
        self,
        model: keras.Model,
        name: str,
        settings: Any,
        *,
        old: ImageAssets,
        new: ImageAssets,
    ) -> keras.Model:
        """The model with outputs for the new classes, those for the old ones as they were.

        Of a model with a head for each kind of annotation, a head's layers begin with its kind:
        ``label_``, ``boxes_``, ``mask_``.
        """
        if all(old.labels_of(kind) == new.labels_of(kind) for kind in self.annotation_kinds):
            return model
        from aitk.core.compression.channels import narrowed_like
        from aitk.vision.models.transfer import copy_grown_weights

        grown = self.build(name, settings, new, backbone=model.get_layer("backbone"))
        grown = narrowed_like(grown, model)  # ``compress`` may have taken channels out of the head
        added = {
            f"{kind}_" if self._mixed else "": len(new.labels_of(kind)) - len(old.labels_of(kind))
            for kind in self.annotation_kinds
        }
        copy_grown_weights(model, grown, added=added)
        return grown

    def draw(self, fields: Mapping[str, Any], answer: Mapping[str, Any]) -> np.ndarray:
        """The answer on its image, with the faults of its boxes where the row has the truth."""
        image = decode_checked(fields["image"])
        faults = find_faults(answer, fields)
        return draw_answer(image, answer, labels=self._drawn_labels, faults=faults)

    def shown(self, fields: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        """How many faults its boxes have, and the answer without its mask: runs of pixels."""
        told = {name: value for name, value in answer.items() if name != "mask"}
        faults = find_faults(answer, fields)
        if faults is None:
            return told
        return {"missed": len(faults.missed), "false_boxes": sum(faults.false)} | told

    @property
    def _mixed(self) -> bool:
        """Rows carry any of several kinds of annotation."""
        return len(self.annotation_kinds) > 1

    def _check_classes(self, summary: Mapping[str, Any]) -> None:
        found = {kind: summary.get("labels", []) for kind in self.annotation_kinds}
        if self._mixed:
            found = {kind: names for kind, names in summary["label_sets"].items() if names}
            if not found:
                raise DataError("the training rows carry no label, no boxes and no mask")
        if reason := summary.get("look_binary"):
            raise DataError(
                reason, hint="Say --binary-masks: black is the first class, white the second"
            )
        for kind, names in found.items():
            if len(names) < MIN_CLASSES[kind]:
                told = f"only the class {names[0]!r}" if names else "no class"
                raise DataError(
                    f"the training rows hold {told} ({kind}): nothing to tell apart",
                    hint="Check that the annotation was found: see the report of aitk prepare",
                )

    def _sample(self, example: Example) -> Sample:
        inputs = example.inputs
        parts = {name: inputs[name] for name in ("boxes", "classes", "crowd") if name in inputs}
        label: int | None = None
        if self._mixed:
            number = int(inputs["label"])
            label = None if number == NONE else number
        elif self.annotation_kinds == {"label"} and example.target is not None:
            label = int(example.target)
        return Sample(
            image=inputs["image"],
            label=label,
            mask=inputs.get("mask"),
            boxes_known=bool(inputs.get("boxes_known", "boxes" in inputs)),
            **parts,
        )


def _labelled(inputs: Mapping[str, Any], fields: Mapping[str, Any], assets: ImageAssets) -> Example:
    """An example whose target is its class."""
    if "label" not in fields:
        return Example(inputs)
    (target,) = _numbers([fields["label"]], assets.labels)
    weight = assets.weights[target] if assets.weights and target != UNSEEN else 1.0
    return Example(inputs, target, weight)


def _numbers(names: Iterable[str], labels: Sequence[str]) -> list[int]:
    return [labels.index(name) if name in labels else UNSEEN for name in names]


def known_classes(png: bytes, labels: Sequence[str]) -> np.ndarray:
    """A stored mask (h, w) in the numbers of the model's classes; what it does not know is void."""
    mask, names = decode_mask(png), mask_names(png)
    if not names or names == tuple(labels[: len(names)]):
        return mask
    table = np.full(256, VOID, np.uint8)
    for number, name in enumerate(names):
        if name in labels:
            table[number] = labels.index(name)
    return table[mask]


def _labels_in(fields: Mapping[str, Any], kind: str) -> set[str]:
    """The classes of one kind that a row names."""
    if kind == "label":
        return {fields["label"]} - {""}
    if kind == "boxes":
        return set(fields["box_labels"])
    return set(mask_names(fields["mask"])) if len(fields["mask"]) else set()
