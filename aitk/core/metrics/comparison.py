"""Comparison of two runs of a task: size, score, speed, predictions."""

from __future__ import annotations

import dataclasses
from typing import Any

from aitk.core.artifacts.opening import open_assets, open_model
from aitk.core.artifacts.run import Run
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Task
from aitk.core.inference.evaluation import Evaluated, evaluate_rows
from aitk.core.inference.predictors import Predictor
from aitk.core.metrics.latency import Latency, measure_latency
from aitk.core.metrics.statistics import Drop, measure_drop

BATCH = 32
#: Rows for timing: enough batches to cover all lengths.
TIMED_ROWS = 640
TIMED_ROWS_OF_FIXED_LENGTH = 64


@dataclasses.dataclass(frozen=True)
class Measured:
    """One side of the comparison: a run, its scores, and its latency for one and more rows."""

    run: Run
    predictor: Predictor
    assets: Any
    evaluated: Evaluated
    one: Latency
    batch: Latency

    def line(self, name: str, metric: str) -> dict[str, Any]:
        """Its line in the table."""
        score = self.evaluated.evaluation.metrics[metric]
        return {
            "run": name,
            "MB": round(self.run.model_bytes() / 1e6, 3),
            metric: round(score.value, 4),
            "low": score.low,
            "high": score.high,
            "1 row, ms": round(self.one.median_ms, 3),
            "1 row, p95": round(self.one.p95_ms, 3),
            f"{BATCH} rows, ms": round(self.batch.median_ms, 3),
            f"{BATCH} rows, p95": round(self.batch.p95_ms, 3),
        }


def measure_run(run: Run, task: Task, rows: Any, *, resamples: int, reporter: Reporter) -> Measured:
    """Open a run, score it on labelled rows, and time it on some of them."""
    assets = open_assets(task, run)
    predictor = open_model(task, run, assets)
    evaluated = evaluate_rows(rows, task, assets, predictor, reporter=reporter, resamples=resamples)
    return Measured(
        run=run,
        predictor=predictor,
        assets=assets,
        evaluated=evaluated,
        one=_latency(predictor, task, assets, rows, size=1),
        batch=_latency(predictor, task, assets, rows, size=BATCH),
    )


def _latency(predictor: Predictor, task: Task, assets: Any, rows: Any, *, size: int) -> Latency:
    """Time batches of rows of similar length, as formed by ``predict``."""
    count = TIMED_ROWS_OF_FIXED_LENGTH if task.fixed_length else TIMED_ROWS
    examples = task.encode(rows[:count], assets)
    examples.sort(key=task.length)
    batches = [
        task.collate(examples[start : start + size], assets).inputs
        for start in range(0, max(1, len(examples) - size + 1), max(size, len(examples) // 100))
    ]
    return measure_latency(predictor, batches)


def compare_runs(
    task: Task, before: Measured, after: Measured, *, resamples: int
) -> tuple[Drop, dict[str, Any]]:
    """Compare score, size, speed and predictions.

    Returns:
        The drop in the main metric, and facts: ``drop`` with its interval; by what factor the run
        is smaller (or larger) and faster (or slower, for batches); and ``same_predictions``, the
        share of rows with equal predictions, for labels and texts.

    """
    drop = measure_drop(
        before.evaluated.evaluation,
        after.evaluated.evaluation,
        metric=task.metric.name,
        higher_is_better=task.metric.higher_is_better,
        resamples=resamples,
    )
    facts: dict[str, Any] = {"drop": drop.value}
    if drop.low is not None:
        facts |= {"drop_low": drop.low, "drop_high": drop.high}
    facts |= _times(before.run.model_bytes(), after.run.model_bytes(), "smaller", "larger")
    facts |= _times(before.batch.median_ms, after.batch.median_ms, "faster", "slower")
    predictions = [
        [row["prediction"].get("prediction") for row in side.evaluated.rows]
        for side in (before, after)
    ]
    # Boxes, masks and numbers are never exactly equal, so the share would be meaningless.
    if all(isinstance(each, str) for side in predictions for each in side):
        same = [old == new for old, new in zip(*predictions, strict=True)]
        facts["same_predictions"] = round(sum(same) / len(same), 4)
    return drop, facts


def _times(before: float, after: float, less: str, more: str) -> dict[str, float]:
    """The ratio of two values, labelled so that it is at least 1."""
    if after <= before:
        return {f"times_{less}": round(before / after, 2)}
    return {f"times_{more}": round(after / before, 2)}
