"""How well lists of items find what users chose next: recall, NDCG and their kin, with intervals.

Definitions, of the first ``k`` places of a list, with ``targets`` items to be found:

- ``ndcg@k`` (Järvelin and Kekäläinen 2002): a hit at place i is worth 1 / log2(i + 1), and the sum
  is divided by that of the best list there can be, min(k, targets) hits first. As RecBole, ranx
  and trec_eval have it.
- ``recall@k``: hits / targets. As all three.
- ``precision@k``: hits / k, also where a list is shorter. As all three.
- ``hit_rate@k``: 1 where there is a hit, else 0. As RecBole (``hit``) and ranx.
- ``map@k``: precision at each hit, summed, divided by min(k, targets). As RecBole; ranx and
  trec_eval divide by all targets, which differs where a user has more than k.
- ``mrr@k``: 1 / place of the first hit, 0 where there is none. As all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Score
from aitk.core.metrics.statistics import bootstrap_scores, score_proportion

#: Lengths of the lists that are judged, the main one first.
CUTOFFS = (10, 1, 5, 20, 100)
_BLOCK_ROWS = 4096  # lists looked at a time: a few MB an array


@dataclass(frozen=True, slots=True)
class RankScores:
    """How good lists are.

    Attributes:
        metrics: name -> mean over the rows with targets, ``ndcg@10`` first.
        per_row: (rows,) the first metric of each row, 0 where it has no target.
        left_out: rows without a target, which count in no mean.
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
        hits: (rows, places) bool, whether the item at a place is one to be found.
        targets: (rows,) how many there are to be found.
        cutoffs: lengths of the lists, the main one first.
        resamples: of the bootstrap; 0 gives no intervals.
        seed: of the bootstrap.

    Raises:
        DataError: no row has a target.
    """
    counted = np.asarray(targets) > 0
    if not counted.any():
        raise DataError("no user has an item to be found")
    each = rank_metrics(hits[counted], targets[counted], cutoffs=cutoffs)
    names, values = list(each), np.stack(list(each.values()), axis=1)  # (rows, metrics)
    per_row = np.zeros(len(counted))
    per_row[counted] = values[:, 0]
    scores = _mean_scores(values, resamples, seed)
    return RankScores(dict(zip(names, scores, strict=True)), per_row, int((~counted).sum()))


def rank_metrics(
    hits: np.ndarray, targets: np.ndarray, *, cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, np.ndarray]:
    """Every metric of every row, (rows,) each; the head of this file defines them.

    Args:
        hits: (rows, places) bool.
        targets: (rows,) how many items there are to be found, at least 1.
        cutoffs: lengths of the lists; one beyond the places given finds no more.
    """
    parts = [
        _block_metrics(
            hits[start : start + _BLOCK_ROWS], targets[start : start + _BLOCK_ROWS], cutoffs
        )
        for start in range(0, max(len(hits), 1), _BLOCK_ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def find_hits(numbers: np.ndarray, targets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Which places of the lists hold an item to be found.

    Args:
        numbers: (rows, places) item numbers, -1 where a list has ended.
        targets: the items to be found, one array a row.

    Returns:
        The hits (rows, places) bool, and how many different items each row looks for (rows,).
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
    best = np.cumsum(gains)  # of a list that begins with so many hits
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
    """The mean of each column of (rows, metrics); one of zeros and ones is a share of rows."""
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
