"""``compare``: whether one run is significantly better than another on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.opening import open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.contract.errors import ArtifactError, UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.metrics.statistics import Difference, compare_paired
from aitk.core.reporting.card import describe_predict_options
from aitk.registry import load_task
from aitk.stages.evaluate import protocol_of

SURE = 0.05  # significance level


def compare(runs: Sequence[Path], *, split: str | None = None, reporter: Reporter) -> Outcome:
    """Compare evaluated runs with the first, row by row.

    Args:
        runs: two or more runs of one task.
        split: the evaluation to compare them on, by its name in ``metrics.json``; by default the
            test rows, or the validation rows if there are no others.

    Raises:
        UsageError: fewer than two runs.
        ArtifactError: runs of different tasks, not evaluated, or on different rows.
    """
    if len(runs) < 2:
        raise UsageError("comparison needs two or more runs", hint="Name at least two")
    opened = [load_run(folder) for folder in runs]
    task = open_task(opened[0], load_task)
    for run in opened[1:]:
        if run.task != task.name:
            raise ArtifactError(
                f"is a run of {run.task}, but {opened[0].folder} is a run of {task.name}",
                where=str(run.folder),
            )
    if split is None:
        only_validation = all("test" not in run.metrics for run in opened) and all(
            "validation" in run.metrics for run in opened
        )
        split = "validation" if only_validation else "test"
    scores = [_scores_by_key(run, split) for run in opened]
    results = [run.metrics[split] for run in opened]
    _check_same_protocol(opened, results)
    _check_same_rows(opened, scores, split)
    if len({(result.get("data") or {}).get("fingerprint") for result in results}) > 1:
        reporter.note("the runs have different prepared data, but equal {split} rows")
    options = _describe_options(opened, results, reporter)
    first = [score for _, score in scores[0]]
    metrics = dict.fromkeys(name for result in results for name in result["metrics"])
    columns = dict.fromkeys(["run", task.metric.name, "megabytes"]) | metrics
    table, verdicts, comparisons = [], [], []
    for run, result, own in zip(opened, results, scores, strict=True):
        line: dict[str, Any] = {"run": str(run.folder)}
        line |= {name: score["value"] for name, score in result["metrics"].items()}
        line["megabytes"] = round(run.model_bytes() / 1e6, 2)
        table.append({name: line.get(name) for name in columns})
        if run is opened[0]:
            continue
        difference = compare_paired(np.array(first), np.array([score for _, score in own]))
        verdicts.append(
            _verdict(
                run, opened[0], difference, task.metric.name, higher=task.metric.higher_is_better
            )
        )
        comparisons.append(
            {
                "run": str(run.folder),
                "against": str(opened[0].folder),
                "difference": difference.value,
                "low": difference.low,
                "high": difference.high,
                "p_value": difference.p_value,
                "test": difference.test,
                "real": difference.p_value < SURE,
            }
        )
    return Outcome(
        facts={
            "metric": task.metric.name,
            "evaluation": split,
            "rows": len(first),
            **protocol_of(results[0].get("details") or {}),
            **options,
            "verdict": "; ".join(verdicts),
            "comparisons": comparisons,
        },
        table=table,
    )


def _scores_by_key(run: Run, split: str) -> list[tuple[str, float]]:
    """A run's per-row scores in the order of their keys; duplicates in row order."""
    if split not in run.metrics:
        known = ", ".join(run.metrics) or "none"
        raise ArtifactError(
            f"no evaluation on {split!r} (it has: {known})",
            where=str(run.folder),
            hint=f"Run: aitk {run.task.partition('.')[0]} evaluate {run.folder}",
        )
    rows = [(row["key"], row["score"]) for row in run.evaluation_rows(split)]
    return sorted(rows, key=lambda row: row[0])


def _check_same_protocol(runs: Sequence[Run], results: Sequence[Mapping[str, Any]]) -> None:
    """Refuse scores of different protocols, which are not comparable even on the same rows."""
    protocols = [(result.get("details") or {}).get("protocol") for result in results]
    for run, protocol in zip(runs, protocols, strict=True):
        if protocol != protocols[0]:
            raise ArtifactError(
                f"was evaluated with another protocol ({protocol}) than {runs[0].folder}"
                f" ({protocols[0]})",
                where=str(run.folder),
                hint="Prepare the data of both in the same way, and evaluate both on it",
            )


def _describe_options(
    runs: Sequence[Run], results: Sequence[Mapping[str, Any]], reporter: Reporter
) -> dict[str, str]:
    """The predict options of the evaluations; warn if they differ."""
    ways = [describe_predict_options(result) or "the default options" for result in results]
    if len(set(ways)) == 1:
        return {"predicted_with": ways[0]} if results[0].get("predict_options") else {}
    described = "; ".join(f"{run.folder} with {way}" for run, way in zip(runs, ways, strict=True))
    reporter.warn(
        "the evaluations used different options, which may explain part of the difference:"
        f" {described}"
    )
    return {"predicted_with": described}


def _check_same_rows(
    runs: Sequence[Run], scores: Sequence[Sequence[tuple[str, float]]], split: str
) -> None:
    keys = [[key for key, _ in own] for own in scores]
    for run, own in zip(runs[1:], keys[1:], strict=True):
        if own != keys[0]:
            shared = len(set(own) & set(keys[0]))
            raise ArtifactError(
                f"was evaluated on {len(own)} {split} rows, of which {shared} also occur among the"
                f" {len(keys[0])} of {runs[0].folder}",
                where=str(run.folder),
                hint="Evaluate both with the same --data",
            )


def _verdict(run: Run, against: Run, difference: Difference, metric: str, *, higher: bool) -> str:
    """The verdict on the difference, in words."""
    points = f"95% interval [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"
    sure = f"p = {difference.p_value:.2g}, {difference.test}"
    if difference.p_value >= SURE:
        return (
            f"no significant difference in {metric} between {run.folder} and {against.folder}:"
            f" {100 * difference.value:+.2f} points, {points}, {sure}"
        )
    better = (difference.value > 0) == higher
    return (
        f"{run.folder} is {'better' if better else 'worse'} than {against.folder} in {metric} by"
        f" {abs(100 * difference.value):.2f} points, {points}, {sure}"
    )
