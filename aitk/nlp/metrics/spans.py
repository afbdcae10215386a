"""Exact-match scores of spans (CoNLL: Tjong Kim Sang and De Meulder 2003, section 3): a span counts
as correct only if its first word, its last word and its label are correct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Evaluation, Score
from aitk.core.metrics.classification import warn_of_unseen_labels
from aitk.core.metrics.statistics import MIN_ROWS, bootstrap_scores, score_proportion
from aitk.nlp.data.formats.tag_schemes import OUTSIDE, WordSpan, is_plain, spans_of
from aitk.nlp.features.tag_assets import UNSEEN_FIRST, UNSEEN_INSIDE

Spans = Sequence[WordSpan]
#: Label of spans whose label is unseen in training.
UNSEEN = "(unseen)"
_NAMES = ("f1", "precision", "recall", "macro_f1")


def score_spans(
    gold: Sequence[Spans],
    found: Sequence[Spans],
    *,
    correct_words: np.ndarray,
    words: np.ndarray,
    resamples: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Precision, recall and F1 of spans, over all of them and for each label.

    ``f1`` is over all spans (micro), ``macro_f1`` the mean over the labels that occur. Rows are
    resampled for the intervals; the precision and recall of a label have Wilson's.

    Args:
        gold: the correct spans of each row.
        found: the predicted ones.
        correct_words: (rows,) words with the correct tag.
        words: (rows,) words.

    Raises:
        DataError: there are no rows.
    """
    if not len(gold):
        raise DataError("there are no rows to score")
    labels = sorted({label for spans in (*gold, *found) for _, _, label in spans})
    hits, wanted, predicted = (np.zeros((len(gold), len(labels))) for _ in range(3))
    numbers = {label: number for number, label in enumerate(labels)}
    for row, (right, answered) in enumerate(zip(gold, found, strict=True)):
        for counted, spans in (
            (wanted, right),
            (predicted, answered),
            (hits, set(right) & set(answered)),
        ):
            for _, _, label in spans:
                counted[row, numbers[label]] += 1

    def statistic(counts: np.ndarray) -> np.ndarray:
        """(resamples, rows) -> (resamples, metrics and F1 of each label)."""
        right, due, given = counts @ hits, counts @ wanted, counts @ predicted
        each = _f1(right, due, given)
        total = _f1(right.sum(1), due.sum(1), given.sum(1))
        occurs = (due + given) > 0
        macro = _ratio((np.nan_to_num(each) * occurs).sum(1), occurs.sum(1))
        precision = _ratio(right.sum(1), given.sum(1))
        recall = _ratio(right.sum(1), due.sum(1))
        accuracy = _ratio(counts @ correct_words, counts @ words)
        return np.column_stack([total, precision, recall, macro, accuracy, each])

    scores = bootstrap_scores(statistic, len(gold), resamples=resamples, seed=seed)
    metrics = dict(zip((*_NAMES, "token_accuracy"), scores, strict=False))
    row_f1 = _f1(hits.sum(1), wanted.sum(1), predicted.sum(1))
    unseen = sum(any(label == UNSEEN for _, _, label in spans) for spans in gold)
    return Evaluation(
        metrics={name: score for name, score in metrics.items() if np.isfinite(score.value)},
        per_row=np.where(np.isfinite(row_f1), row_f1, 1.0).astype(np.float32),
        details={
            "unseen_rows": unseen,
            "per_class": _per_label(labels, hits, wanted, predicted, scores[len(_NAMES) + 1 :]),
            "tables": {"Errors in spans": _errors(gold, found)},
        },
        statistic=lambda counts: statistic(counts)[:, 0],
        warnings=warn_of_unseen_labels(unseen),
    )


def gold_spans(targets: np.ndarray, labels: Sequence[str]) -> list[WordSpan]:
    """The spans of the targets of a row; tags unseen in training have the label ``UNSEEN``."""
    if is_plain(labels):
        names = [labels[each] if each >= 0 else UNSEEN for each in targets]
        spans, _ = spans_of(names, "plain")
        return [span for span in spans if span[2] != OUTSIDE]
    special = {UNSEEN_FIRST: f"B-{UNSEEN}", UNSEEN_INSIDE: f"I-{UNSEEN}"}
    names = [special.get(int(each)) or labels[each] for each in targets]
    return spans_of(names, "iob")[0]


def _per_label(
    labels: Sequence[str],
    hits: np.ndarray,
    wanted: np.ndarray,
    predicted: np.ndarray,
    scores: Sequence[Score],
) -> list[dict[str, Any]]:
    table = []
    for at, label in enumerate(labels):
        right, due, given = (float(each[:, at].sum()) for each in (hits, wanted, predicted))
        f1 = scores[at] if due >= MIN_ROWS else Score(scores[at].value)
        table.append(
            {
                "label": label,
                "support": int(due),
                "precision": score_proportion(right, given).as_json(),
                "recall": score_proportion(right, due).as_json(),
                "f1": f1.as_json(),
            }
        )
    return table


def _errors(gold: Sequence[Spans], found: Sequence[Spans]) -> list[dict[str, Any]]:
    """Counts of spans that are correct, have another label or extent, are missed or spurious."""
    counts: Counter[str] = Counter()
    for right, answered in zip(gold, found, strict=True):
        places = {(start, end): label for start, end, label in answered}
        for start, end, label in right:
            if (start, end) in places:
                counts["right" if places[start, end] == label else "other label"] += 1
            elif any(first < end and start < last for first, last in places):
                counts["other words"] += 1
            else:
                counts["missed"] += 1
        counts["invented"] += sum(
            not any(first < end and start < last for first, last, _ in right)
            for start, end in places
        )
    kinds = ("right", "other label", "other words", "missed", "invented")
    return [{"spans": kind, "number": counts[kind]} for kind in kinds]


def _f1(right: np.ndarray, due: np.ndarray, given: np.ndarray) -> np.ndarray:
    return _ratio(2 * right, due + given)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN where the divisor is 0."""
    above, below = np.asarray(above, float), np.asarray(below, float)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
