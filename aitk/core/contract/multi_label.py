"""Multi-label rows: the differences to a ``LabelTask``.

A domain's classifier returns its multi-label variant if its reading options ask for one::

    class MultiLabelClassify(MultiLabelTask[TextAssets], Classify): ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.core.contract.label_task import LabelAssetsT, LabelTask, stored_labels
from aitk.core.contract.task import Batch, Evaluation, Example, Metric
from aitk.core.metrics.baselines import Baseline, Rows
from aitk.core.metrics.classification import explained_class
from aitk.core.metrics.multi_label import (
    DEFAULT_THRESHOLD,
    answer_labels,
    constant_labels,
    score_multi_label,
    sigmoid,
    tune_thresholds,
)


class MultiLabelTask(LabelTask[LabelAssetsT]):
    """A classifier for rows with several labels, in the field ``labels``.

    The target of a row is (classes + 1,) float32: 1 for each of its labels, and last the number of
    its labels unseen in training. A class is predicted if its probability reaches its threshold,
    which ``calibrate`` tunes on validation rows.
    """

    # The order of the scores, and so the best epoch, is independent of thresholds.
    metric = Metric("micro_f1", selection="micro_average_precision")

    def label_features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        names = stored_labels(summary, at_least=1)
        return {"labels": tfds.features.Sequence(tfds.features.ClassLabel(names=names))}

    def learn_labels(self, summary: Mapping[str, Any], *, balance: bool) -> dict[str, Any]:
        """See ``LabelTask``.

        Args:
            balance: weight the rows with a label by the ratio of rows without to rows with it.
        """
        labels = tuple(summary["labels"])
        weights: tuple[float, ...] = ()
        if balance:
            counts, rows = summary["label_counts"]["train"], summary["rows"]["train"]
            weights = tuple(
                max(1, rows - counts.get(label, 0)) / max(1, counts.get(label, 0))
                for label in labels
            )
        thresholds = (DEFAULT_THRESHOLD,) * len(labels)
        return {"labels": labels, "weights": weights, "thresholds": thresholds}

    def label_targets(self, rows: Rows, assets: LabelAssetsT) -> list[dict[str, Any]]:
        numbers = {label: number for number, label in enumerate(assets.labels)}
        found: list[dict[str, Any]] = []
        for row in rows:
            if "labels" not in row:
                found.append({})
                continue
            target = np.zeros(len(numbers) + 1, np.float32)
            for label in row["labels"]:
                target[numbers.get(label, -1)] += 1
            found.append({"target": target})
        return found

    def class_labels(self, assets: LabelAssetsT) -> NoReturn:
        raise UsageError("multi-label runs cannot be combined", where="--ensemble-with")

    def adaptation_assets(self, assets: LabelAssetsT) -> NoReturn:
        raise UsageError(
            "a multi-label model cannot be adapted without labels",
            where="--without-labels",
        )

    # Predictions ----------------------------------------------------------

    def probabilities(self, outputs: np.ndarray, assets: LabelAssetsT) -> np.ndarray:
        del assets
        return sigmoid(np.asarray(outputs))

    def log_odds(self, outputs: np.ndarray, index: int, assets: LabelAssetsT) -> np.ndarray:
        del assets
        return np.asarray(outputs, np.float64)[:, index]

    def decode(
        self,
        batch: Batch,
        outputs: np.ndarray,
        assets: LabelAssetsT,
        *,
        top_k: int = 1,
        options: Any = None,
    ) -> list[dict[str, Any]]:
        """See ``answer_labels``."""
        probabilities = self.probabilities(outputs, assets)
        return answer_labels(probabilities, assets.labels, assets.thresholds, top_k=top_k)

    def measure(
        self, batch: Batch, outputs: np.ndarray, assets: LabelAssetsT
    ) -> dict[str, np.ndarray]:
        targets = np.asarray(batch.targets)
        return {
            "target": targets[:, :-1] > 0,
            "unseen": targets[:, -1].astype(int),
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
        return score_multi_label(
            measured["target"],
            measured["probabilities"],
            assets.labels,
            thresholds=assets.thresholds,
            unseen=measured["unseen"],
            resamples=resamples,
            seed=seed,
        )

    def calibrate(self, measured: Mapping[str, np.ndarray], assets: LabelAssetsT) -> LabelAssetsT:
        """See ``Calibrates``: thresholds with the best F1 on the validation rows."""
        thresholds = tune_thresholds(measured["target"], measured["probabilities"])
        return dataclasses.replace(assets, thresholds=tuple(thresholds.tolist()))  # type: ignore[type-var]

    def explained(
        self, outputs: np.ndarray, assets: LabelAssetsT, target: str | None
    ) -> tuple[int, dict[str, Any]]:
        """See ``LabelTask``; ``prediction`` lists the labels, and the most probable is
        explained."""
        probabilities = self.probabilities(outputs, assets)
        index, facts = explained_class(probabilities[0], assets.labels, target)
        (answer,) = answer_labels(probabilities[:1], assets.labels, assets.thresholds)
        return index, facts | {"prediction": answer["prediction"]}

    def baselines(
        self, train: Rows, summary: Mapping[str, Any], assets: LabelAssetsT
    ) -> Iterable[Baseline]:
        yield constant_labels(summary["label_counts"]["train"], len(train), assets.labels)

    def add_soft_targets(
        self, example: Example, outputs: np.ndarray, assets: LabelAssetsT, *, teacher: LabelAssetsT
    ) -> Example:
        return dataclasses.replace(example, target=np.append(example.target, outputs))

    def teacher_only(self, example: Example, assets: LabelAssetsT) -> Example:
        """See ``DistillsUnlabelled``: a row of no class, with -1 in the place of unseen labels."""
        target = np.zeros(len(assets.labels) + 1, np.float32)
        target[-1] = -1
        return dataclasses.replace(example, target=target)

    def distillation_loss(self, assets: LabelAssetsT, *, teacher: LabelAssetsT) -> Any:
        from aitk.core.training.label_losses import MultiLabelDistillation

        return MultiLabelDistillation()
