"""From scores of all items to what an evaluation says of the lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.task import Batch, Evaluation, Score
from aitk.recsys.assets import LogAssets
from aitk.recsys.diversity import (
    activity_groups,
    catalogue_coverage,
    concentration,
    intra_list_diversity,
    novelty,
)
from aitk.recsys.ranking import find_hits, rank_metrics, rank_scores
from aitk.recsys.top_items import top_items

LONGEST = 100  # places of a list that are judged
SHOWN = 10  # places of a list that people see


def measure_lists(batch: Batch, outputs: np.ndarray) -> dict[str, np.ndarray]:
    """Of each row: its list after full ranking, what of it was right, how much it knew."""
    numbers, _ = top_items(outputs, k=LONGEST, seen=batch.context["seen"])
    hits, targets = find_hits(numbers, batch.context["targets"])
    return {
        "numbers": numbers,
        "hits": hits,
        "targets": targets,
        "lengths": batch.context["lengths"],
    }


def judge_lists(
    measured: Mapping[str, np.ndarray], assets: LogAssets, *, resamples: int, seed: int
) -> Evaluation:
    """Score lists: how well they find what was held out, and what else they are like.

    Args:
        measured: what ``measure_lists`` kept of all rows.
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
    return Evaluation(metrics, scores.per_row, details)
