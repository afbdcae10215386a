"""Multi-label classification: predictions, thresholds, and scores.

Every class is an independent binary decision: probabilities are (rows, classes), each from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.task import Evaluation, Score
from aitk.core.metrics.baselines import Baseline, Measured, Rows
from aitk.core.metrics.statistics import bootstrap_scores, score_proportion

#: Weight of the shared threshold, in rows of a class (see ``tune_thresholds``).
SHARED_ROWS = 20
#: Probabilities are clipped to this distance from 0 and 1.
TINY = 1e-6
DEFAULT_THRESHOLD = 0.5


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logits to independent probabilities."""
    positive = np.asarray(logits) >= 0
    small = np.exp(-np.abs(logits))
    return np.where(positive, 1 / (1 + small), small / (1 + small))


def answer_labels(
    probabilities: np.ndarray,
    labels: Sequence[str],
    thresholds: Sequence[float],
    *,
    top_k: int = 1,
) -> list[dict[str, Any]]:
    """The labels of each row, most probable first.

    Args:
        probabilities: (rows, classes).
        labels: class names in column order.
        thresholds: (classes,) minimum probability of each label.

    Returns:
        ``prediction``, the names, and ``probabilities``, theirs; with ``top_k`` > 1 also ``top_k``,
        the best labels regardless of thresholds.
    """
    limits = np.asarray(thresholds)
    answers = []
    for row in np.asarray(probabilities):
        order = np.argsort(-row, kind="stable")
        chosen = order[row[order] >= limits[order]]
        answer: dict[str, Any] = {
            "prediction": [labels[index] for index in chosen],
            "probabilities": [round(float(row[index]), 6) for index in chosen],
        }
        if top_k > 1:
            answer["top_k"] = [
                {"label": labels[index], "probability": round(float(row[index]), 6)}
                for index in order[:top_k]
            ]
        answers.append(answer)
    return answers


def tune_thresholds(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The threshold of each class, shrunk from its best F1 towards a shared one.

    The best threshold on few rows fits noise (Fan and Lin 2007, "A Study on Threshold Selection for
    Multi-label Classification"), so it is shrunk towards the threshold with the best micro F1 over
    all classes: the mean of their log-odds, weighted by the rows of the class and by
    ``SHARED_ROWS``. A class without rows gets the shared threshold.

    Args:
        targets: (rows, classes) bool.
        probabilities: (rows, classes).

    Returns:
        (classes,) probabilities.
    """
    shared = log_odds(best_threshold(targets.ravel(), probabilities.ravel()))
    own = log_odds(
        np.array(
            [
                best_threshold(truth, scores)
                for truth, scores in zip(targets.T, probabilities.T, strict=True)
            ]
        )
    )
    rows = targets.sum(axis=0)
    return sigmoid((rows * own + SHARED_ROWS * shared) / (rows + SHARED_ROWS))


def log_odds(probabilities: Any) -> np.ndarray:
    """log(p / (1 - p)), finite."""
    inside = np.clip(np.asarray(probabilities, float), TINY, 1 - TINY)
    return np.log(inside / (1 - inside))


def best_threshold(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The threshold with the best F1, halfway between the adjacent rows.

    Args:
        targets: (rows,) bool.
        probabilities: (rows,).
    """
    positives = int(targets.sum())
    if not positives:
        return DEFAULT_THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    scores = probabilities[order].astype(float)
    ends = _last_of_equals(scores)
    f1 = 2 * np.cumsum(targets[order])[ends] / (ends + 1 + positives)
    best = int(ends[np.argmax(f1)])
    after = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + after) / 2)


def average_precision(targets: np.ndarray, probabilities: np.ndarray, *, unseen: int = 0) -> float:
    """The mean precision over the ranks of the positives, with ties sharing a rank.

    Args:
        targets: (rows,) bool.
        probabilities: (rows,).
        unseen: number of positives without a score.

    Returns:
        NaN without positives.
    """
    positives = int(targets.sum()) + unseen
    if not positives:
        return float("nan")
    order = np.argsort(-probabilities, kind="stable")
    ends = _last_of_equals(probabilities[order])
    hits = np.cumsum(targets[order])[ends]
    return float((np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / positives)


def score_multi_label(
    targets: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    thresholds: Sequence[float],
    unseen: np.ndarray | None = None,
    resamples: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Score thresholded labels, and the ranking by probability.

    ``micro_`` metrics pool all decisions, ``macro_`` ones average classes that occur in the targets
    or the predictions, ``sample_f1`` averages rows (a row without labels is right if none is
    predicted). ``subset_accuracy`` is the share of rows with exactly the right labels,
    ``hamming_loss`` that of wrong decisions. Average precisions have no interval.

    Args:
        targets: (rows, classes) bool.
        probabilities: (rows, classes).
        labels: class names in column order.
        thresholds: (classes,).
        unseen: (rows,) number of labels unseen in training: always missed.
        resamples: bootstrap resamples; 0 computes no intervals and is fast.
        seed: seed of the bootstrap.

    Raises:
        DataError: there are no rows.
        ArtifactError: a probability is not finite.
    """
    if not len(targets):
        raise DataError("there are no rows to score")
    if not np.isfinite(probabilities).all():
        raise ArtifactError("the model outputs are not finite", hint="Train or convert it again")
    unseen = np.zeros(len(targets), int) if unseen is None else np.asarray(unseen)
    rows = _Rows(np.asarray(targets, bool), probabilities >= np.asarray(thresholds), unseen)
    scores = bootstrap_scores(rows.measure, len(targets), resamples=resamples, seed=seed)
    metrics = dict(zip(_Rows.names, scores, strict=False))
    if resamples:
        metrics["subset_accuracy"] = score_proportion(float(rows.exact.sum()), len(targets))
    precisions = [
        average_precision(truth, found)
        for truth, found in zip(rows.targets.T, probabilities.T, strict=True)
    ]
    known = [value for value in precisions if np.isfinite(value)]
    pooled = average_precision(
        rows.targets.ravel(), probabilities.ravel(), unseen=int(unseen.sum())
    )
    metrics["micro_average_precision"] = Score(pooled)
    metrics["macro_average_precision"] = Score(float(np.mean(known)) if known else float("nan"))
    return Evaluation(
        metrics={name: score for name, score in metrics.items() if np.isfinite(score.value)},
        per_row=rows.sample_f1.astype(np.float32),
        details={
            "labels": list(labels),
            "unseen_rows": int((unseen > 0).sum()),
            "per_class": [
                entry | {"threshold": round(float(limit), 6), "average_precision": precision}
                for entry, limit, precision in zip(
                    rows.per_class(labels, scores[len(_Rows.names) :]),
                    thresholds,
                    [value if np.isfinite(value) else None for value in precisions],
                    strict=True,
                )
            ],
        },
        statistic=lambda counts: rows.measure(counts)[:, 0],
    )


def constant_labels(counts: Mapping[str, int], rows: int, labels: Sequence[str]) -> Baseline:
    """The same labels for every row: the most frequent ones, in the number with the best micro F1.

    Args:
        counts: training rows with each label.
        rows: number of training rows.
        labels: classes in output order.
    """
    frequencies = np.array([counts.get(label, 0) for label in labels], float)
    order = np.argsort(-frequencies, kind="stable")
    sizes = np.arange(1, len(labels) + 1)
    f1 = 2 * np.cumsum(frequencies[order]) / np.maximum(rows * sizes + frequencies.sum(), 1)
    chosen = np.zeros(len(labels), np.float32)
    chosen[order[: int(np.argmax(f1)) + 1]] = 1

    def measure(rows: Rows, measured: Measured) -> Measured:
        return {**measured, "probabilities": np.tile(chosen, (len(rows), 1))}

    return Baseline("most frequent labels", measure)


class _Rows:
    """Decisions on rows, arranged for evaluating many resamples at once.

    Args:
        targets: (rows, classes) bool.
        predictions: (rows, classes) bool.
        unseen: (rows,) number of labels that are always missed.
    """

    names = (
        *(
            f"{average}_{name}"
            for average in ("micro", "macro")
            for name in ("f1", "precision", "recall")
        ),
        *("sample_f1", "subset_accuracy", "hamming_loss"),
    )

    def __init__(self, targets: np.ndarray, predictions: np.ndarray, unseen: np.ndarray):
        self.targets, self.predictions = targets, predictions
        self._hits = (targets & predictions).astype(np.float32)  # (rows, classes)
        self._due, self._given = targets.astype(np.float32), predictions.astype(np.float32)
        hits, due, given = (
            each.sum(axis=1, dtype=float) for each in (self._hits, self._due, self._given)
        )
        due = due + unseen
        self._sums = np.stack([hits, given, due], axis=1)  # (rows, 3)
        self.exact = (hits == due) & (hits == given)
        self.sample_f1 = np.where(due + given > 0, 2 * hits / np.maximum(due + given, 1), 1.0)
        self._wrong = (due + given - 2 * hits) / targets.shape[1]

    def measure(self, counts: np.ndarray) -> np.ndarray:
        """(resamples, rows) -> (resamples, metrics): ``names``, then F1 of each class."""
        rows = counts.sum(axis=1)
        micro = _rates(*(counts @ self._sums).T)  # 3 x (resamples,)
        drawn = counts.astype(np.float32)
        hits, given, due = (drawn @ each for each in (self._hits, self._given, self._due))
        each = _rates(hits, given, due)  # 3 x (resamples, classes)
        occurs = (given + due) > 0
        number = np.maximum(occurs.sum(axis=1), 1)
        macro = [np.nan_to_num(rate).sum(axis=1, where=occurs) / number for rate in each]
        means = [counts @ row / rows for row in (self.sample_f1, self.exact, self._wrong)]
        return np.column_stack([*map(np.nan_to_num, micro), *macro, *means, each[0]])

    def per_class(self, labels: Sequence[str], f1: Sequence[Score]) -> list[dict[str, Any]]:
        hits, given, due = (
            each.sum(axis=0).tolist() for each in (self._hits, self._given, self._due)
        )
        return [
            {
                "label": label,
                "support": int(due[index]),
                "precision": score_proportion(hits[index], given[index]).as_json(),
                "recall": score_proportion(hits[index], due[index]).as_json(),
                "f1": f1[index].as_json(),
            }
            for index, label in enumerate(labels)
        ]


def _rates(hits: np.ndarray, given: np.ndarray, due: np.ndarray) -> list[np.ndarray]:
    """F1, precision and recall; NaN where undefined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return [2 * hits / (given + due), hits / given, hits / due]


def _last_of_equals(ordered: np.ndarray) -> np.ndarray:
    """The index of the last of each run of equal values."""
    return np.flatnonzero(np.append(np.diff(ordered) != 0, True))
