"""Ranking metrics of item lists: recall, NDCG and related ones, with intervals.

Definitions for the first ``k`` positions of a list with ``targets`` relevant items:

- ``ndcg@k`` (Järvelin and Kekäläinen 2002): a hit at position i contributes 1 / log2(i + 1), and
  the sum is divided by that of the ideal list, with min(k, targets) hits first. As in RecBole,
  ranx and trec_eval.
- ``recall@k``: hits / targets. As in all three.
- ``precision@k``: hits / k, even for shorter lists. As in all three.
- ``hit_rate@k``: 1 if there is a hit, else 0. As in RecBole (``hit``) and ranx.
- ``map@k``: precision at each hit, summed, divided by min(k, targets). As in RecBole; ranx and
  trec_eval divide by all targets, which differs for users with more than k.
- ``mrr@k``: 1 / position of the first hit, 0 without a hit. As in all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Score
from aitk.core.metrics.statistics import bootstrap_scores, score_proportion

#: Evaluated list lengths, the main one first.
CUTOFFS = (10, 1, 5, 20, 100)
_BLOCK_ROWS = 4096  # lists processed at once: a few MB per array


@dataclass(frozen=True, slots=True)
class RankScores:
    """Ranking metrics of lists.

    Attributes:
        metrics: name -> mean over the rows with targets, ``ndcg@10`` first.
        per_row: (rows,) the first metric of each row, 0 for rows without targets.
        left_out: number of rows without targets, which are excluded from all means.
    """

    metrics: dict[str, Score]
    per_row: np.ndarray
    left_out: int


def rank_scores(
    hits: np.ndarray,
    targets: np.ndarray,
    *,
    cutoffs: Sequence[int] = CUTOFFS,
    resamples: int = 0,
    seed: int = 0,
) -> RankScores:
    """Score the lists of all users, with bootstrap intervals over users.

    Args:
        hits: (rows, places) bool, whether the item at a position is a target.
        targets: (rows,) number of targets.
        cutoffs: list lengths, the main one first.
        resamples: bootstrap resamples; 0 computes no intervals.
        seed: seed of the bootstrap.

    Raises:
        DataError: no row has a target.
    """
    counted = np.asarray(targets) > 0
    if not counted.any():
        raise DataError("no user has a held-out item")
    each = rank_metrics(hits[counted], targets[counted], cutoffs=cutoffs)
    names, values = list(each), np.stack(list(each.values()), axis=1)  # (rows, metrics)
    per_row = np.zeros(len(counted))
    per_row[counted] = values[:, 0]
    scores = _mean_scores(values, resamples, seed)
    return RankScores(dict(zip(names, scores, strict=True)), per_row, int((~counted).sum()))


def rank_metrics(
    hits: np.ndarray, targets: np.ndarray, *, cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, np.ndarray]:
    """Every metric of every row, (rows,) each; defined at the head of this file.

    Args:
        hits: (rows, places) bool.
        targets: (rows,) number of targets, at least 1.
        cutoffs: list lengths; positions beyond the given ones have no hits.
    """
    parts = [
        _block_metrics(
            hits[start : start + _BLOCK_ROWS], targets[start : start + _BLOCK_ROWS], cutoffs
        )
        for start in range(0, max(len(hits), 1), _BLOCK_ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def find_hits(numbers: np.ndarray, targets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the lists that hold a target.

    Args:
        numbers: (rows, places) item numbers, padded with -1.
        targets: the target items, one array per row.

    Returns:
        The hits (rows, places) bool, and the number of distinct targets per row (rows,).
    """
    wanted = np.concatenate([np.zeros(0, np.int64), *targets]).astype(np.int64)
    rows = np.repeat(np.arange(len(targets)), [len(each) for each in targets])
    width = 1 + max(int(wanted.max(initial=0)), int(numbers.max(initial=0)))
    keys = np.unique(rows * width + wanted)
    counts = np.bincount(keys // width, minlength=len(targets))
    own = np.arange(len(numbers))[:, None] * width + numbers
    nearest = np.append(keys, -1)[np.searchsorted(keys, own)]
    return (nearest == own) & (numbers >= 0), counts


def _block_metrics(
    hits: np.ndarray, targets: np.ndarray, cutoffs: Sequence[int]
) -> dict[str, np.ndarray]:
    places = hits.shape[1]
    longest = max(*cutoffs, places, 1)
    place = np.arange(1, longest + 1)
    gains = 1 / np.log2(place + 1)
    best = np.cumsum(gains)  # for a list that starts with so many hits
    hits = np.pad(hits, [(0, 0), (0, longest - places)])
    found = np.cumsum(hits, axis=1, dtype=np.int32)  # (rows, longest)
    gained = np.cumsum(hits * gains, axis=1)
    precisions = np.cumsum(hits * (found / place), axis=1)
    first = np.where(found[:, -1] > 0, hits.argmax(axis=1) + 1, longest + 1)
    metrics: dict[str, np.ndarray] = {}
    for k in cutoffs:
        most = np.minimum(k, targets)
        metrics |= {
            f"ndcg@{k}": gained[:, k - 1] / best[most - 1],
            f"recall@{k}": found[:, k - 1] / targets,
            f"precision@{k}": found[:, k - 1] / k,
            f"hit_rate@{k}": (found[:, k - 1] > 0).astype(float),
            f"map@{k}": precisions[:, k - 1] / most,
            f"mrr@{k}": np.where(first <= k, 1 / first, 0.0),
        }
    return metrics


def _mean_scores(values: np.ndarray, resamples: int, seed: int) -> list[Score]:
    """The mean of each column of (rows, metrics); binary columns are treated as proportions."""
    rows = len(values)
    scores = bootstrap_scores(
        lambda counts: counts @ values / counts.sum(axis=1, keepdims=True),
        rows,
        resamples=resamples,
        seed=seed,
    )
    is_share = np.all(np.isin(values, (0, 1)), axis=0).tolist()
    return [
        score_proportion(float(column.sum()), rows) if share and resamples else score
        for score, column, share in zip(scores, values.T, is_share, strict=True)
    ]
