"""Comparison of two runs of a task: size, score, speed, predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.artifacts.opening import open_assets, open_model
from aitk.core.artifacts.run import Run
from aitk.core.contract.capabilities import RanksOutputs
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.evaluation import Evaluated, evaluate_rows
from aitk.core.inference.predictors import Predictor
from aitk.core.metrics.latency import Latency, measure_latency
from aitk.core.metrics.statistics import Drop, measure_drop

BATCH = 32
#: Rows for timing: enough batches to cover all lengths.
TIMED_ROWS = 640
TIMED_ROWS_OF_FIXED_LENGTH = 64
#: Rows whose outputs are compared number by number.
COMPARED_ROWS = 32


@dataclasses.dataclass(frozen=True)
class Measured:
    """One side of the comparison: a run, its scores, and its latency for one and more rows."""

    run: Run
    predictor: Predictor
    assets: Assets
    evaluated: Evaluated
    one: Latency
    batch: Latency

    def line(
        self,
        name: str,
        metric: str,
        *,
        parameters: int | None = None,
        multiply_adds: int | None = None,
        difference: float | None = None,
    ) -> dict[str, Any]:
        """Its line of the table.

        Args:
            multiply_adds: of one row.
            difference: see ``largest_difference``.
        """
        score = self.evaluated.evaluation.metrics[metric]
        return {
            "run": name,
            "MB": round(self.run.model_bytes() / 1e6, 3),
            "parameters": parameters,
            "multiply-adds": multiply_adds,
            metric: round(score.value, 4),
            "low": score.low,
            "high": score.high,
            "1 row, ms": round(self.one.median_ms, 3),
            "1 row, p95": round(self.one.p95_ms, 3),
            f"{BATCH} rows, ms": round(self.batch.median_ms, 3),
            f"{BATCH} rows, p95": round(self.batch.p95_ms, 3),
            "largest difference": None if difference is None else float(f"{difference:.3g}"),
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


def _latency(predictor: Predictor, task: Task, assets: Assets, rows: Any, *, size: int) -> Latency:
    """Time batches of rows of similar length, as formed by ``predict``."""
    count = TIMED_ROWS_OF_FIXED_LENGTH if task.fixed_length else TIMED_ROWS
    examples = task.encode(rows[:count], assets)
    examples.sort(key=task.length)
    batches = [
        task.collate(examples[start : start + size], assets).inputs
        for start in range(0, max(1, len(examples) - size + 1), max(size, len(examples) // 100))
    ]
    return measure_latency(predictor, batches)


def largest_difference(before: Measured, after: Measured, task: Task, rows: Any) -> float | None:
    """By how much any output for some rows differs at most.

    None where outputs have other shapes, and where all are ranked lists.

    Args:
        rows: of which the first ``COMPARED_ROWS`` are taken.
    """
    found = []
    for side in (before, after):
        examples = task.encode(rows[:COMPARED_ROWS], side.assets)
        outputs = side.predictor(task.collate(examples, side.assets).inputs)
        found.append(outputs if isinstance(outputs, Mapping) else {"": outputs})
    old, new = found
    if old.keys() != new.keys() or any(old[name].shape != new[name].shape for name in old):
        return None
    ranked = task.ranked_outputs if isinstance(task, RanksOutputs) else frozenset()
    compared = old.keys() - ranked
    if not compared:
        return None
    gaps = [np.abs(np.asarray(old[name]) - np.asarray(new[name])) for name in sorted(compared)]
    gaps = [gap[np.isfinite(gap)] for gap in gaps]  # both may be minus infinity
    return float(max((gap.max() for gap in gaps if gap.size), default=0.0))


def one_row(task: Task, assets: Assets, rows: Any) -> dict[str, np.ndarray]:
    """The inputs of one row of median length."""
    examples = task.encode(rows[:TIMED_ROWS_OF_FIXED_LENGTH], assets)
    examples.sort(key=task.length)
    return task.collate([examples[len(examples) // 2]], assets).inputs


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
