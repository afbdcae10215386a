"""What changed between two runs of a task: size, score, speed, answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.batches import predict_rows
from aitk.core.evaluation import Evaluated, evaluate_rows
from aitk.core.latency import Latency, measure_latency
from aitk.core.opening import open_assets, open_model
from aitk.core.progress import Reporter
from aitk.core.run import Run
from aitk.core.runtime import Predictor
from aitk.core.task import ONLY_OUTPUT, Task

BATCH = 32
TIMED_ROWS = 640
COMPARED_ROWS = 512


@dataclasses.dataclass(frozen=True)
class Measured:
    """One side of the comparison: a run, how good it is, and how long one and more rows take."""

    run: Run
    predictor: Predictor
    assets: Any
    evaluated: Evaluated
    one: Latency
    batch: Latency

    def line(self, name: str, metric: str) -> dict[str, Any]:
        """Its line of the table."""
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
    """Time batches of rows of near-equal length, as ``predict`` makes them."""
    examples = task.encode_many(rows[:TIMED_ROWS], assets)
    examples.sort(key=task.length)
    batches = [
        task.collate(examples[start : start + size], assets).inputs
        for start in range(0, max(1, len(examples) - size + 1), max(size, len(examples) // 100))
    ]
    return measure_latency(predictor, batches)


def compare_runs(task: Task, rows: Any, before: Measured, after: Measured) -> dict[str, Any]:
    """What changed: size, score, speed, answers, outputs.

    ``drop`` is by how much the main metric is worse; ``times_faster`` is about batches.
    """
    scores = [side.evaluated.evaluation.metrics[task.main_metric].value for side in (before, after)]
    answers = [
        [row["prediction"].get("prediction", row["prediction"]) for row in side.evaluated.rows]
        for side in (before, after)
    ]
    same = [old == new for old, new in zip(*answers, strict=True)]
    return {
        "drop": (scores[0] - scores[1]) * (1 if task.higher_is_better else -1),
        "times_smaller": round(before.run.model_bytes() / after.run.model_bytes(), 2),
        "times_faster": round(before.batch.median_ms / after.batch.median_ms, 2),
        "same_answers": round(sum(same) / len(same), 4),
        "largest_difference": _largest_difference(task, rows[:COMPARED_ROWS], before, after),
    }


def _largest_difference(task: Task, rows: Any, before: Measured, after: Measured) -> float | None:
    """Between the outputs for the same row; None where their shapes differ (other tokens)."""
    sides = [
        predict_rows(
            rows, task, side.assets, side.predictor, batch_size=BATCH, batches_per_window=1
        )
        for side in (before, after)
    ]
    largest = 0.0
    for old, new in zip(*(map(_named, side) for side in sides), strict=True):
        for name, array in old.items():
            if array.shape != new[name].shape:
                return None
            largest = max(largest, float(np.abs(array - new[name]).max()))
    return largest


def _named(outputs: Any) -> Mapping[str, np.ndarray]:
    """A row's outputs by name, also where there is but one."""
    return outputs if isinstance(outputs, Mapping) else {ONLY_OUTPUT: outputs}
