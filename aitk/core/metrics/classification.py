"""Predictions from class probabilities, and their metrics with intervals.

For tasks with one distribution over classes per row. Labels unseen in training have target -1: they
count as an additional class that is never predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.options import unknown_name
from aitk.core.contract.task import Evaluation, Score
from aitk.core.io.names import shorten
from aitk.core.metrics.statistics import MIN_ROWS, bootstrap_scores, score_proportion

CALIBRATION_BINS = 15
UNSEEN = "(never seen in training)"
#: Maximum number of classes named in a warning.
MAX_CLASSES_SHOWN = 10


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """(..., classes) logits to log-probabilities."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """(rows, classes) logits to probabilities."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def decode_classes(
    probabilities: np.ndarray, labels: Sequence[str], *, top_k: int = 1
) -> list[dict[str, Any]]:
    """The prediction for each row: its best class; with ``top_k`` > 1 also the best ones in order.

    Args:
        probabilities: (rows, classes).
        labels: class names in column order.
    """
    if top_k == 1:
        first = probabilities.argmax(axis=1)
        values = probabilities[np.arange(len(first)), first]
        return [
            {"prediction": labels[index], "probability": round(value, 6)}
            for index, value in zip(first.tolist(), values.tolist(), strict=True)
        ]
    predictions = []
    for row in probabilities:
        best = np.argsort(-row, kind="stable")[:top_k]
        found = [
            {"label": labels[index], "probability": round(float(row[index]), 6)} for index in best
        ]
        prediction = {"prediction": found[0]["label"], "probability": found[0]["probability"]}
        predictions.append({**prediction, "top_k": found})
    return predictions


def explained_class(
    probabilities: np.ndarray, labels: Sequence[str], target: str | None
) -> tuple[int, dict[str, Any]]:
    """The class of one row to explain, the ``target`` or the best one, with facts about it.

    Args:
        probabilities: (classes,).

    Raises:
        UsageError: the target is not a label.
    """
    if target is not None and target not in labels:
        raise unknown_name(target, labels, what="label")
    best = int(np.argmax(probabilities))
    index = list(labels).index(target) if target else best
    return index, {
        "prediction": labels[best],
        "explained": labels[index],
        "probability": float(probabilities[index]),
    }


def score_classification(
    targets: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    resamples: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Score a classifier like scikit-learn, each metric with a 95% interval.

    Accuracies, and the precision and recall of each class, are proportions of rows with Wilson
    intervals. The others have bootstrap intervals.

    Args:
        targets: (rows,) class numbers; -1 for labels unseen in training.
        probabilities: (rows, classes), each row summing to 1.
        labels: class names in column order.
        resamples: bootstrap resamples; 0 computes no intervals and is fast.
        seed: seed of the bootstrap.

    Macro averages include the classes that occur in the targets or the predictions. ROC-AUC is one
    against the rest, averaged over the classes with both; metrics undefined for these rows are left
    out. Log loss excludes rows of unseen labels.

    Raises:
        DataError: there are no rows.
        ArtifactError: a probability is not finite.
    """
    if not len(targets):
        raise DataError("there are no rows to score")
    if not np.isfinite(probabilities).all():
        raise ArtifactError("the model outputs are not finite", hint="Train or convert it again")
    rows = _Rows(np.asarray(targets), np.asarray(probabilities))
    scores = bootstrap_scores(rows.measure, len(targets), resamples=resamples, seed=seed)
    metrics = dict(zip(rows.names, scores, strict=False))
    class_scores = scores[len(rows.names) :]
    if resamples:
        metrics |= rows.proportions()
        class_scores = rows.class_proportions(class_scores)
    details = _details(rows, labels, class_scores)
    return Evaluation(
        metrics={name: score for name, score in metrics.items() if np.isfinite(score.value)},
        per_row=rows.correct.astype(np.float32),
        details=details,
        warnings=warn_of_unseen_labels(details["unseen_rows"]),
    )


def warn_of_unseen_labels(rows: int) -> list[str]:
    """A warning about rows that no prediction can get right, if there are any."""
    return [f"{rows} rows have a label unseen in training: they count as wrong"] if rows else []


def warn_of_absent_classes(labels: Sequence[str]) -> list[str]:
    """A warning about classes without scored rows, if there are any."""
    if not labels:
        return []
    shown = ", ".join(map(shorten, labels[:MAX_CLASSES_SHOWN]))
    more = ", ..." if len(labels) > MAX_CLASSES_SHOWN else ""
    message = f"The scores do not cover {len(labels)} classes without rows"
    return [f"{message}: {shown}{more}"]


class _Rows:
    """The scored rows, arranged for evaluating many resamples at once."""

    def __init__(self, targets: np.ndarray, probabilities: np.ndarray):
        n_rows, self.classes = probabilities.shape
        self.targets, self.probabilities = targets, probabilities
        self.predictions = probabilities.argmax(axis=1)
        self.confidences = probabilities.max(axis=1).astype(float)
        self.correct = (self.predictions == targets).astype(float)
        # ]0, 1/15], ]1/15, 2/15], ... as in Guo et al. 2017, section 2.
        bins = np.ceil(self.confidences * CALIBRATION_BINS).astype(int) - 1
        self.bins = np.clip(bins, 0, CALIBRATION_BINS - 1)
        self.seen = (targets >= 0).astype(float)
        own = probabilities[np.arange(n_rows), targets].astype(float)  # -1 is masked by ``seen``
        floor = np.finfo(probabilities.dtype).eps
        self.losses = -np.log(np.clip(own, floor, 1.0)) * self.seen
        self.top5 = self._in_top5(own)
        self.auc, self.auc_influence = macro_auc(targets, probabilities)
        each = ("precision", "recall", "f1")
        self.names = [
            "accuracy",
            *(f"{average}_{name}" for average in ("macro", "micro", "weighted") for name in each),
            *("roc_auc", "calibration_error", "log_loss"),
            *(["top5_accuracy"] if self.classes > 5 else []),
        ]

    def measure(self, counts: np.ndarray) -> np.ndarray:
        """(resamples, rows) -> (resamples, metrics): ``names``, then precision, recall and F1 of
        each class."""
        total = counts.sum(axis=1)
        right = counts @ self.correct
        accuracy = right / total
        # Unseen labels are the last of classes + 1 columns.
        columns = self.classes + 1
        supports = group_sums(counts, self.targets % columns, columns)
        predicted = group_sums(counts, self.predictions, columns)
        hits = group_sums(counts * self.correct, self.predictions, columns)
        with np.errstate(invalid="ignore", divide="ignore"):
            each = np.stack(
                [hits / predicted, hits / supports, 2 * hits / (predicted + supports)], axis=1
            )  # (resamples, 3, classes + 1), NaN where undefined
        defined = np.nan_to_num(each)
        occurs = (predicted + supports) > 0
        macro = (defined * occurs[:, None]).sum(axis=2) / occurs.sum(axis=1, keepdims=True)
        micro = np.repeat(
            accuracy[:, None], 3, axis=1
        )  # one prediction per row: all three are equal
        weighted = (defined * supports[:, None]).sum(axis=2) / total[:, None]
        gaps = group_sums(counts * (self.correct - self.confidences), self.bins, CALIBRATION_BINS)
        seen = counts @ self.seen
        losses = np.divide(
            counts @ self.losses, seen, out=np.full(len(counts), np.nan), where=seen > 0
        )
        # First-order approximation in the counts: exact on the original rows, and cheap on
        # resamples.
        auc = np.minimum(self.auc + counts @ self.auc_influence / total, 1.0)
        singles = [auc, np.abs(gaps).sum(axis=1) / total, losses]
        if self.classes > 5:
            singles.append(counts @ self.top5 / total)
        per_class = each[:, :, : self.classes].reshape(len(counts), -1)
        return np.column_stack([accuracy, macro, micro, weighted, *singles, per_class])

    def proportions(self) -> dict[str, Score]:
        """The metrics that are proportions of rows."""
        rows = len(self.targets)
        accuracy = score_proportion(float(self.correct.sum()), rows)
        micro = {name: accuracy for name in self.names if name.startswith("micro_")}
        found = {"accuracy": accuracy, **micro}
        if self.classes > 5:
            found["top5_accuracy"] = score_proportion(float(self.top5.sum()), rows)
        return found

    def class_proportions(self, scores: Sequence[Score]) -> list[Score]:
        """The scores of the classes: precision and recall as proportions of rows, and F1 without
        interval for classes with few rows."""
        hits, predicted, supports = (
            np.bincount(classes, minlength=self.classes).tolist()
            for classes in (
                self.targets[self.correct > 0],
                self.predictions,
                self.targets[self.targets >= 0],
            )
        )
        precision = map(score_proportion, hits, predicted)
        recall = map(score_proportion, hits, supports)
        f1 = (
            score if count >= MIN_ROWS else Score(score.value)
            for score, count in zip(scores[2 * self.classes :], supports, strict=True)
        )
        return [*precision, *recall, *f1]

    def _in_top5(self, own: np.ndarray) -> np.ndarray:
        """Whether the true class is among the top five; ties go to the first."""
        place = (self.probabilities > own[:, None]).sum(axis=1)
        equal = self.probabilities == own[:, None]
        place += (equal & (np.arange(self.classes) < self.targets[:, None])).sum(axis=1)
        return (place < 5) * self.seen


def group_sums(counts: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    """Sum (resamples, rows) over rows of equal group number: (resamples, n_groups)."""
    return np.stack([np.bincount(groups, line, n_groups) for line in counts])


def macro_auc(targets: np.ndarray, probabilities: np.ndarray) -> tuple[float, np.ndarray]:
    """The area under the ROC curve, one class against the rest, averaged over classes.

    Returns:
        The area (NaN if no class has both positives and negatives), and each row's influence
        (rows,): to first order, the area of a resample is the area plus the mean influence of its
        rows (the structural components of DeLong et al. 1988).
    """
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    rows, areas = len(targets), []
    influence = np.zeros(rows)
    for index in classes:
        positive = targets == index
        count = int(positive.sum())
        if count in (0, rows):
            continue
        above = np.sort(probabilities[positive, index])
        below = np.sort(probabilities[~positive, index])
        # Share of the other side that each row beats, with ties counting half.
        wins = _share_below(below, probabilities[positive, index])
        losses = 1 - _share_below(above, probabilities[~positive, index])
        area = wins.mean()
        areas.append(area)
        influence[positive] += (wins - area) * rows / count
        influence[~positive] += (losses - area) * rows / (rows - count)
    if not areas:
        return float("nan"), influence
    return float(np.mean(areas)), influence / len(areas)


def _share_below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    left = np.searchsorted(ordered, values, side="left")
    right = np.searchsorted(ordered, values, side="right")
    return (left + right) / (2 * len(ordered))


def _details(rows: _Rows, labels: Sequence[str], class_scores: list[Score]) -> dict[str, Any]:
    names = [*labels, UNSEEN]
    ones = np.ones((1, len(rows.targets)))
    supports = group_sums(ones, rows.targets % len(names), len(names))[0]
    per_class = []
    for index, label in enumerate(labels):
        entry: dict[str, Any] = {"label": label, "support": int(supports[index])}
        for place, name in enumerate(("precision", "recall", "f1")):
            score = class_scores[place * len(labels) + index]
            entry[name] = score.as_json()
        per_class.append(entry)
    confusion: dict[str, dict[str, int]] = {}
    pairs = np.stack([rows.targets % len(names), rows.predictions], axis=1)
    for (target, prediction), count in zip(
        *np.unique(pairs, axis=0, return_counts=True), strict=True
    ):
        confusion.setdefault(names[target], {})[labels[prediction]] = int(count)
    sizes, confidences, correct = (
        group_sums(values[None], rows.bins, CALIBRATION_BINS)[0]
        for values in (ones[0], rows.confidences, rows.correct)
    )
    calibration = [
        {"rows": int(size), "confidence": float(confidence / size), "accuracy": float(right / size)}
        for size, confidence, right in zip(sizes, confidences, correct, strict=True)
        if size
    ]
    return {
        "labels": list(labels),
        "unseen_rows": int(supports[-1]),
        "per_class": per_class,
        "confusion": confusion,  # target -> prediction -> rows, nonzero cells
        "calibration": calibration,
    }
