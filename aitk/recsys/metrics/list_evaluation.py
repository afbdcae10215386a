"""From scores of all items to the evaluation of lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.contract.task import Batch, Evaluation, Score
from aitk.core.metrics.statistics import ratio_statistic
from aitk.recsys.decoding.top_items import top_items
from aitk.recsys.decoding.top_n import scores_for_all
from aitk.recsys.features.assets import LogAssets
from aitk.recsys.metrics.diversity import (
    activity_groups,
    catalogue_coverage,
    concentration,
    intra_list_diversity,
    novelty,
)
from aitk.recsys.metrics.ranking import find_hits, rank_metrics, rank_scores
from aitk.recsys.metrics.sampled import sampled_ranks

LONGEST = 100  # evaluated length of a list
SHOWN = 10  # displayed length of a list


def measure_lists(batch: Batch, outputs: np.ndarray, assets: LogAssets) -> dict[str, np.ndarray]:
    """Per row: its fully ranked list, its hits, and the known history.

    If the assets ask for it, also the ``place`` of its first target among sampled items.
    """
    scores = scores_for_all(batch, outputs, assets)
    numbers, _ = top_items(scores, k=LONGEST, seen=batch.context["seen"])
    hits, targets = find_hits(numbers, batch.context["targets"])
    measured = {
        "numbers": numbers,
        "hits": hits,
        "targets": targets,
        "lengths": batch.context["lengths"],
    }
    if assets.sampled_negatives:
        rows = zip(scores, batch.context["targets"], batch.context["seen"], strict=True)
        measured["place"] = np.array(
            [_sampled_place(*row, negatives=assets.sampled_negatives) for row in rows]
        )
    return measured


def evaluate_lists(
    measured: Mapping[str, np.ndarray], assets: LogAssets, *, resamples: int, seed: int
) -> Evaluation:
    """Score lists: accuracy on held-out items, and beyond-accuracy metrics.

    Args:
        measured: the values of ``measure_lists`` for all rows.
    """
    scores = rank_scores(measured["hits"], measured["targets"], resamples=resamples, seed=seed)
    lists = measured["numbers"][:, :SHOWN]
    counted = measured["targets"] > 0
    groups = activity_groups(
        measured["lengths"][counted],
        {
            name: values
            for name, values in rank_metrics(
                measured["hits"][counted], measured["targets"][counted], cutoffs=(SHOWN,)
            ).items()
            if name.startswith(("recall", "ndcg"))
        },
    )
    beyond = {
        f"coverage@{SHOWN}": catalogue_coverage(lists, len(assets.items)),
        f"novelty@{SHOWN}": novelty(lists, assets.counts, max(1, len(assets.users))),
        f"gini@{SHOWN}": concentration(lists, len(assets.items)),
    }
    if assets.vectors is not None:
        beyond[f"diversity@{SHOWN}"] = intra_list_diversity(lists, assets.vectors)
    details: dict[str, Any] = {
        "protocol": assets.protocol,
        "tables": {"By length of the history": groups},
    }
    if scores.left_out:
        details["without_target"] = scores.left_out
    metrics = scores.metrics | {
        name: Score(value) for name, value in beyond.items() if np.isfinite(value)
    }
    if "place" in measured:
        metrics |= _sampled_scores(measured["place"][counted], resamples=resamples, seed=seed)
    return Evaluation(
        metrics, scores.per_row, details, ratio_statistic(scores.per_row, counted.astype(float))
    )


def _sampled_place(
    scores: np.ndarray, targets: np.ndarray, seen: np.ndarray, *, negatives: int
) -> int:
    """The place of the first target among sampled items; 0 without a target."""
    if not len(targets):
        return 0
    if targets[0] >= len(scores):  # an item unknown to training
        return negatives + 1
    # Drawn by the row alone: every model gets the same items, at any batch size.
    rng = np.random.default_rng([len(seen), int(np.sum(seen)), int(targets[0])])
    (place,) = sampled_ranks(scores[None], targets[:1], [seen], negatives=negatives, rng=rng)
    return int(place)


def _sampled_scores(places: np.ndarray, *, resamples: int, seed: int) -> dict[str, Score]:
    """Metrics of lists with a single target, from its positions."""
    hits = places[:, None] == np.arange(1, SHOWN + 1)
    scores = rank_scores(
        hits, np.ones(len(hits), int), cutoffs=(SHOWN,), resamples=resamples, seed=seed
    )
    wanted = (f"ndcg@{SHOWN}", f"hit_rate@{SHOWN}")
    return {f"sampled_{name}": scores.metrics[name] for name in wanted}
