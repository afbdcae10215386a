"""Image classification with one label per image, or with several."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.label_task import UNSEEN, LabelTask
from aitk.core.contract.multi_label import MultiLabelTask
from aitk.core.contract.task import Batch, Example, Note
from aitk.core.io.images import decode_checked, encode_bmp
from aitk.vision.data.options import ClassifyImages
from aitk.vision.features.assets import ImageAssets
from aitk.vision.features.geometry import fit_image
from aitk.vision.features.sample import Sample, soft_labels
from aitk.vision.models.specs import CLASSIFIERS
from aitk.vision.tasks.image_task import ImageTask

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.edge.parts import BundleParts


class Classify(ImageTask, LabelTask[ImageAssets]):
    """What an image shows, such as a thing, a defect or a place: its folder or column."""

    name = "vision.classify"
    reading = ClassifyImages
    models = CLASSIFIERS
    annotation_kinds = frozenset({"label"})

    def for_reading(self, reading: ClassifyImages) -> Classify:
        """See ``DependsOnReading``."""
        return MultiLabelClassify() if reading.has_many_labels else self

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
        return dataclasses.replace(
            assets, parameters={**assets.parameters, "smoothing": settings.smoothing}
        )

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: ImageAssets) -> list[Example]:
        """Like every image task; the target is the class number, or None for unlabelled rows."""
        examples = super().encode(rows, assets)
        targets = self.label_targets(rows, assets)
        return [
            Example(example.inputs, **target)
            for example, target in zip(examples, targets, strict=True)
        ]

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(samples, classes) class shares: augmentation may mix images."""
        return soft_labels(samples, len(assets.labels)), None

    def teacher_outputs(self, teacher: keras.Model, student: keras.Model) -> keras.Model:
        """The teacher's logits for the student's images, resized to its own input."""
        from aitk.vision.losses.distillation import resize_to_teacher

        return resize_to_teacher(teacher, student.inputs[0].shape[1:3])

    def add_soft_targets_to_batch(self, batch: Batch, outputs: Any, assets: ImageAssets) -> Batch:
        """Append the teacher's logits to the class shares."""
        targets = np.concatenate([batch.targets, outputs], axis=-1)
        return dataclasses.replace(batch, targets=targets)

    def teacher_only(self, example: Example, assets: ImageAssets) -> Example:
        """See ``DistillsUnlabelled``: no class has a share."""
        return dataclasses.replace(example, target=UNSEEN)

    def distillation_loss(self, assets: ImageAssets, *, teacher: ImageAssets) -> Any:
        from aitk.vision.losses.distillation import LabelDistillationLoss, check_same_classes

        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        return LabelDistillationLoss()

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: ImageAssets
    ) -> dict[str, np.ndarray]:
        shares = np.asarray(batch.targets)  # labels unseen in training have no share
        targets = np.where(shares.any(axis=1), shares.argmax(axis=1), UNSEEN)
        return {"target": targets, "probabilities": self.probabilities(outputs, assets)}

    def bundle(self, assets: ImageAssets, reading: ClassifyImages) -> BundleParts:
        """See ``Bundled``."""
        from aitk.vision.edge.parts import image_parts

        return image_parts(assets, reading, decoder="aitk.vision.edge.classify", settings={})

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

        index, explained = self.explained(predict([fields]), assets, target)
        original = decode_checked(fields["image"])
        fitted, fit = fit_image(original, assets.size, how=assets.fit)

        def probability(images: Sequence[np.ndarray]) -> np.ndarray:
            height, width = assets.size
            same = {"height": height, "width": width}
            rows = [dict(fields) | same | {"image": encode_bmp(each)} for each in images]
            return self.probabilities(predict(rows), assets)[:, index]

        importance = None
        if model is not None:
            from aitk.vision.explain.attribution import attribute

            importance = attribute(model(), fitted, index)
        return explained | explain_image(original, fitted, fit, probability, importance=importance)


class MultiLabelClassify(MultiLabelTask[ImageAssets], Classify):
    """Image classification with several labels per image."""

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        features = Classify.features(self, summary)
        del features["label"]
        return features | self.label_features(summary)

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        **given: Any,
    ) -> ImageAssets:
        assets = Classify.learn(self, rows, summary, settings, **given)
        labels = self.learn_labels(summary, balance=given.get("balance", False))
        return dataclasses.replace(assets, **labels)

    def label_shares(self, target: np.ndarray) -> tuple[int, Mapping[int, float]]:
        """Each label has share 1; labels unseen in training are stored under -1."""
        shares = dict.fromkeys(np.flatnonzero(target[:-1]).tolist(), 1.0)
        return UNSEEN, shares | {UNSEEN: float(target[-1])}

    def targets(
        self, samples: Sequence[Sample], assets: ImageAssets
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(samples, classes + 1); see ``MultiLabelTask``."""
        unseen = [(sample.shares or {}).get(UNSEEN, 0.0) for sample in samples]
        hot = soft_labels(samples, len(assets.labels))
        return np.column_stack([hot, np.array(unseen, np.float32)]), None

    def teacher_only(self, example: Example, assets: ImageAssets) -> Example:
        return MultiLabelTask.teacher_only(self, example, assets)

    def distillation_loss(self, assets: ImageAssets, *, teacher: ImageAssets) -> Any:
        from aitk.vision.losses.distillation import check_same_classes

        check_same_classes(assets, teacher, kinds=self.annotation_kinds)
        return MultiLabelTask.distillation_loss(self, assets, teacher=teacher)
