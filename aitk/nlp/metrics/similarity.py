"""Quality of vectors: rank correlation with human scores, retrieval, analogies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.contract.task import Evaluation, Score
from aitk.core.metrics.statistics import bootstrap_scores, score_proportion
from aitk.nlp.decoding.neighbours import ranks, unit_rows

RECALL_AT = (1, 5, 10)


def score_similarity(
    cosines: np.ndarray, scores: np.ndarray, *, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """Spearman's and Pearson's correlation of cosines with scores, (pairs,) each."""

    def statistic(counts: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                _correlation(midranks(cosines, counts), midranks(scores, counts), counts),
                _correlation(cosines[None], scores[None], counts),
            ],
            axis=1,
        )

    spearman, pearson = bootstrap_scores(statistic, len(scores), resamples=resamples, seed=seed)
    once = np.ones((1, len(scores)))
    products = _standard(midranks(cosines, once)[0]) * _standard(midranks(scores, once)[0])
    return Evaluation(
        metrics={"spearman": spearman, "pearson": pearson},
        per_row=products,
        statistic=lambda counts: statistic(counts)[:, 0],
    )


def midranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rank of each value in samples that draw it ``counts`` times; ties share a mean rank.

    Args:
        values: (rows,).
        counts: (samples, rows).

    Returns:
        (samples, rows), up to a constant.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)
    middle = np.cumsum(sizes, axis=1) - sizes / 2
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    found = np.empty((len(counts), len(values)))
    found[:, order] = middle[:, group]
    return found


def score_retrieval(
    left: np.ndarray, right: np.ndarray, *, resamples: int = 0, seed: int = 0
) -> Evaluation:
    """How often the partner of a text is its nearest neighbour among the partners of all rows.

    Args:
        left, right: (rows, d) vectors of the two texts of each row.

    Returns:
        ``recall@1``, ``recall@5``, ``recall@10`` and ``mrr``, the mean of 1 / rank.
    """
    rank = ranks(unit_rows(left), unit_rows(right))
    columns = np.stack([*(rank <= count for count in RECALL_AT), 1 / rank], axis=1).astype(float)

    def statistic(counts: np.ndarray) -> np.ndarray:
        return counts @ columns / counts.sum(axis=1, keepdims=True)

    names = [*(f"recall@{count}" for count in RECALL_AT), "mrr"]
    scores = bootstrap_scores(statistic, len(rank), resamples=resamples, seed=seed)
    return Evaluation(
        metrics=dict(zip(names, scores, strict=True)),
        per_row=columns[:, 0],
        details={"candidates": len(rank)},
    )


def score_analogies(correct: np.ndarray, known: np.ndarray, sections: Sequence[str]) -> Evaluation:
    """The share of correct analogies among those whose four words are in the vocabulary.

    Args:
        correct, known: (rows,) bool.
        sections: of each row.
    """
    table: list[Mapping[str, Any]] = []
    for section in dict.fromkeys(sections):
        inside = np.array([name == section for name in sections]) & known
        share = float(correct[inside].mean()) if inside.any() else None
        table.append({"section": section, "asked": int(inside.sum()), "accuracy": share})
    accuracy = score_proportion(float(correct[known].sum()), float(known.sum()))
    warnings = []
    if not known.all():
        warnings.append(
            f"{int((~known).sum())} of {len(known)} analogies have a word outside the"
            " vocabulary and are excluded"
        )
    return Evaluation(
        metrics={"analogies": accuracy, "known": Score(float(known.mean()))},
        per_row=(correct & known).astype(float),
        details={"sections": table},
        warnings=warnings,
    )


def _correlation(one: np.ndarray, two: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pearson's correlation of weighted samples, (samples, rows) each -> (samples,); NaN where
    one is constant."""
    total = counts.sum(axis=1, keepdims=True)
    one = one - (counts * one).sum(axis=1, keepdims=True) / total
    two = two - (counts * two).sum(axis=1, keepdims=True) / total
    product = (counts * one * two).sum(axis=1)
    scale = np.sqrt((counts * one**2).sum(axis=1) * (counts * two**2).sum(axis=1))
    found = np.full(len(product), np.nan)
    return np.divide(product, scale, out=found, where=scale > 1e-12)


def _standard(values: np.ndarray) -> np.ndarray:
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation else np.zeros(len(values))
