"""Common base of the classifiers of text, audio and images: labels, targets, predictions, scores.

A domain's classifier adds the reading and encoding of its rows::

    class Classify(LabelDistillation[TextAssets], LabelTask[TextAssets]):
        models = {"bag": TextClassifier(BagSettings), ...}
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.features import ClassLabel
from aitk.core.contract.model_spec import (
    BACKBONE,
    ONLY_OUTPUT,
    ModelSpec,
    SettingsT,
    TrainedModel,
)
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Assets, Batch, Evaluation, Example, Metric, Task
from aitk.core.metrics.baselines import Baseline, Rows, majority_class
from aitk.core.metrics.classification import (
    decode_classes,
    explained_class,
    score_classification,
    softmax,
)
from aitk.core.metrics.multi_label import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    import keras

#: Minimum number of rows from which an update learns a new label.
ROWS_OF_NEW_LABEL = 5
UNSEEN = -1  # the target of a label unseen in training


class LabelAssets(Assets, Protocol):
    """Assets of a classifier.

    Attributes:
        labels: class names in output order.
        weights: weight of each class in the loss, or empty.
        thresholds: minimum probability of each label for multi-label rows (``MultiLabelTask``);
            empty for single-label rows.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def weights(self) -> tuple[float, ...]: ...

    @property
    def thresholds(self) -> tuple[float, ...]: ...


LabelAssetsT = TypeVar("LabelAssetsT", bound=LabelAssets)

#: The shape of ``label_values`` in a JSON file (see ``core.io.json_files``).
LABEL_SHAPE = {"labels": [str], "weights": [float], "thresholds?": [float]}


def label_values(assets: LabelAssets) -> dict[str, Any]:
    """The labels of assets as JSON values; ``read_label_values`` restores them."""
    return {
        "labels": list(assets.labels),
        "weights": list(assets.weights),
        "thresholds": list(assets.thresholds),
    }


def read_label_values(values: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The label arguments of assets, from values of ``LABEL_SHAPE``.

    Raises:
        ArtifactError: a label is repeated, or some have no weight or threshold.
    """
    labels = tuple(values["labels"])
    if len(set(labels)) < len(labels):
        raise ArtifactError("a label is repeated", where=where)
    found: dict[str, Any] = {"labels": labels}
    for name in ("weights", "thresholds"):
        found[name] = tuple(map(float, values.get(name, ())))
        if len(found[name]) not in (0, len(labels)):
            raise ArtifactError(f"{len(found[name])} {name} for {len(labels)} labels", where=where)
    return found


def initial_bias(assets: LabelAssets) -> float:
    """The initial bias of a classifier's head: one label per row on average.

    With independent binary classes, a head that starts at even odds spends its first steps on
    learning that most labels are absent (Lin et al. 2017, section 3.3).
    """
    return -math.log(max(1, len(assets.labels) - 1)) if assets.thresholds else 0.0


class LabelOutputs(ModelSpec[SettingsT, LabelAssetsT]):
    """A model with one logit per label (mixin)."""

    def output_sizes(self, assets: LabelAssetsT) -> Mapping[str, int]:
        return {ONLY_OUTPUT: len(assets.labels)}


class LabelModel(LabelOutputs[SettingsT, LabelAssetsT], TrainedModel[SettingsT, LabelAssetsT]):
    """A classifier trained by cross-entropy over class numbers, or per class."""

    def loss(self, assets: LabelAssetsT) -> Any:
        import keras

        if assets.thresholds:
            from aitk.core.training.label_losses import MultiLabelLoss

            return MultiLabelLoss(assets.weights)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def grow(
        self, model: keras.Model, settings: SettingsT, *, old: LabelAssetsT, new: LabelAssetsT
    ) -> keras.Model:
        """The model with logits for the new labels, those for the old ones as they were."""
        added = len(new.labels) - len(old.labels)
        if not added:
            return model
        from aitk.core.training.growth import copy_grown_weights

        grown = self.build(settings, new, backbone=model.get_layer(BACKBONE))
        copy_grown_weights(model, grown, added={"": added})
        return grown


class LabelTask(Task[LabelAssetsT]):
    """A classifier: the field ``label`` of a row is its class.

    If a domain's base class defines ``features``, ``encode`` or ``extend``, list it first::

        class Classify(ImageTask, LabelTask[ImageAssets]): ...
    """

    metric = Metric("accuracy")

    # Labels ---------------------------------------------------------------

    def label_features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """The storage schema of the label, for ``features``.

        Raises:
            DataError: the training rows have fewer than two classes.
        """
        return {"label": ClassLabel(stored_labels(summary))}

    def learn_labels(self, summary: Mapping[str, Any], *, balance: bool) -> dict[str, Any]:
        """The arguments ``labels`` and ``weights`` of the assets, for ``learn``.

        Args:
            balance: weight classes by inverse frequency: rows / (classes * rows of the class).
        """
        labels = tuple(summary["labels"])
        return {"labels": labels, "weights": balanced_weights(summary, labels) if balance else ()}

    def label_targets(self, rows: Rows, assets: LabelAssetsT) -> list[dict[str, Any]]:
        """The arguments ``target`` and ``weight`` of each row's ``Example``, for ``encode``.

        The target is the class number, or ``UNSEEN`` for classes unseen in training; unlabelled
        rows have none.

        """
        numbers = {label: number for number, label in enumerate(assets.labels)}
        if not assets.weights:  # each has the weight 1
            return [
                {"target": numbers.get(row["label"], UNSEEN)} if "label" in row else {}
                for row in rows
            ]
        found: list[dict[str, Any]] = []
        for row in rows:
            if "label" not in row:
                found.append({})
                continue
            number = numbers.get(row["label"], UNSEEN)
            weight = assets.weights[number] if number != UNSEEN else 1.0
            found.append({"target": number, "weight": weight})
        return found

    def label_batch(
        self,
        inputs: dict[str, np.ndarray],
        examples: Sequence[Example],
        context: Mapping[str, Any] | None = None,
    ) -> Batch:
        """The batch of these inputs with the examples' targets and weights, for ``collate``."""
        context = context or {}
        if any(item.target is None for item in examples):
            return Batch(inputs, context=context)
        targets = np.stack([np.asarray(item.target) for item in examples])
        weights = np.array([item.weight for item in examples], np.float32)
        return Batch(inputs, targets, weights, context)

    def class_labels(self, assets: LabelAssetsT) -> Sequence[str]:
        """See ``Ensemblable``."""
        return assets.labels

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: LabelAssetsT,
        known: Rows,
        *,
        reading: Any,
    ) -> tuple[LabelAssetsT, Iterator[Row | Refusal]]:
        """See ``Updatable``: new labels follow the known ones.

        Rows of a new label with fewer than ``ROWS_OF_NEW_LABEL`` rows are refused: most are
        spelling mistakes.
        """
        del known, reading
        gathered = list(items)
        counts = Counter(
            label for item in gathered if isinstance(item, Row) for label in labels_of(item.fields)
        )
        new = sorted(
            label
            for label, count in counts.items()
            if label not in assets.labels and count >= ROWS_OF_NEW_LABEL
        )
        if new:
            assets = with_labels(assets, new)
        return assets, refuse_unseen(gathered, assets.labels)

    # Predictions ----------------------------------------------------------

    def probabilities(self, outputs: np.ndarray, assets: LabelAssetsT) -> np.ndarray:
        """(rows, classes) logits to probabilities."""
        del assets
        return softmax(np.asarray(outputs))

    def log_odds(self, outputs: np.ndarray, index: int, assets: LabelAssetsT) -> np.ndarray:
        """log(p / (1 - p)) of one class, (rows, classes) logits -> (rows,) float64.

        Unlike a probability, it does not saturate, which explanations need.
        """
        del assets
        logits = np.asarray(outputs, np.float64)
        others = np.delete(logits, index, axis=1)
        return logits[:, index] - np.logaddexp.reduce(others, axis=1)

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: LabelAssetsT,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """``prediction`` and its ``probability``; with ``top_k`` > 1 the best labels in order."""
        return decode_classes(self.probabilities(outputs, assets), assets.labels, top_k=top_k)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: LabelAssetsT
    ) -> dict[str, np.ndarray]:
        return {
            "target": np.asarray(batch.targets),
            "probabilities": self.probabilities(outputs, assets),
        }

    def score(
        self,
        measured: Mapping[str, np.ndarray],
        assets: LabelAssetsT,
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

    def explained(
        self, outputs: np.ndarray, assets: LabelAssetsT, target: str | None
    ) -> tuple[int, dict[str, Any]]:
        """The class of one row to explain, the ``target`` or the best one, for ``explain``.

        Args:
            outputs: (1, classes) logits.

        Returns:
            The class number, and ``prediction``, ``explained`` and ``probability``.

        Raises:
            UsageError: the target is not a label.
        """
        return explained_class(self.probabilities(outputs, assets)[0], assets.labels, target)

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: LabelAssetsT
    ) -> Iterable[Baseline]:
        """See ``HasBaselines``: the most frequent class."""
        yield majority_class(summary["label_counts"]["train"], assets.labels)


class LabelDistillation(Generic[LabelAssetsT]):
    """``DistillsRows`` for a ``LabelTask``: append the teacher's logits to the target (mixin)."""

    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: LabelAssetsT, *, teacher: LabelAssetsT
    ) -> Example:
        """See ``DistillsRows``."""
        return dataclasses.replace(example, target=np.append(example.target, outputs))

    def teacher_only(self, example: Example, assets: LabelAssetsT) -> Example:
        """See ``DistillsUnlabelled``."""
        return dataclasses.replace(example, target=UNSEEN)

    def distillation_loss(self, assets: LabelAssetsT, *, teacher: LabelAssetsT) -> Any:
        """See ``DistillsRows``."""
        from aitk.core.compression.distill import DistillationLoss

        return DistillationLoss()


def stored_labels(summary: Mapping[str, Any], *, at_least: int = 2) -> list[str]:
    """The labels stored with rows: those of training, then those only in held-out rows, which no
    model predicts.

    Raises:
        DataError: the training rows have fewer than ``at_least``.
    """
    labels = summary["labels"]
    if len(labels) < at_least and "train" in summary["label_counts"]:
        found = f"only the label {labels[0]!r}" if labels else "no label"
        raise DataError(
            f"the training rows hold {found}: nothing to tell apart",
            hint="Set the label column with --label-column",
        )
    held_out: set[str] = set().union(*summary["label_counts"].values())
    return [*labels, *sorted(held_out - set(labels))]


def balanced_weights(summary: Mapping[str, Any], labels: Sequence[str]) -> tuple[float, ...]:
    """The weight of each class, its inverse training frequency; 1 for equal frequencies."""
    counts = summary["label_counts"]["train"]
    total = sum(counts.values())
    return tuple(total / (len(labels) * max(1, counts.get(label, 0))) for label in labels)


def labels_of(fields: Mapping[str, Any]) -> Sequence[str]:
    """The labels of a row: one, any number, or none where it has no field for them."""
    if "labels" in fields:
        labels: Sequence[str] = fields["labels"]
        return labels
    return [fields["label"]] if "label" in fields else []


def with_labels(assets: LabelAssetsT, new: Sequence[str]) -> LabelAssetsT:
    """Assets that know more labels: of the mean weight, of the usual threshold."""
    changes: dict[str, Any] = {"labels": (*assets.labels, *new)}
    if assets.weights:
        mean = sum(assets.weights) / len(assets.weights)
        changes["weights"] = (*assets.weights, *[mean] * len(new))
    if assets.thresholds:
        changes["thresholds"] = (*assets.thresholds, *[DEFAULT_THRESHOLD] * len(new))
    grown: LabelAssetsT = dataclasses.replace(assets, **changes)  # type: ignore[type-var]
    return grown


def refuse_unseen(items: Iterable[Row | Refusal], labels: Sequence[str]) -> Iterator[Row | Refusal]:
    """Pass rows on, refusing those with labels that are not among these."""
    known = set(labels)
    for item in items:
        if isinstance(item, Row):
            new = next((label for label in labels_of(item.fields) if label not in known), None)
            if new is not None:
                reason = (
                    f"the label {new!r} was not seen in training, and fewer than"
                    f" {ROWS_OF_NEW_LABEL} new rows have it"
                )
                item = Refusal(item.file, item.line, reason)
        yield item
