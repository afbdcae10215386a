"""What a training writes: scores, comparison, cost, history and the run."""

from __future__ import annotations

import contextlib
import csv
import math
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.run_draft import RunDraft
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.io.files import write_json
from aitk.core.metrics.baselines import (
    baseline_warnings,
    compare_with_baselines,
    score_baselines,
)
from aitk.core.runtime.energy import Energy
from aitk.stages.evaluate import protocol_of
from aitk.stages.options import TrainingOptions
from aitk.stages.training.defaults import BATCH_SIZE


def describe_data(data: PreparedData) -> dict[str, Any]:
    """The description of the data in ``run.json``."""
    return {
        "folder": str(data.folder.resolve()),
        "fingerprint": data.fingerprint,
        "reading": data.reading,
        "rows": data.splits,
        "labels": data.summary.get("labels", []),
    }


def validation_metrics(task: Task, best: Mapping[str, float], data: PreparedData) -> dict[str, Any]:
    """The best epoch's validation scores, in the form of ``metrics.json``."""
    if "validation" not in data.splits or task.metric.name not in best:
        return {}
    own = {"epoch", "step", "loss", "learning_rate", "waiting", "seconds"}
    return {
        "validation": {
            "rows": data.splits["validation"],
            "metrics": {
                name: {"value": value}
                for name, value in best.items()
                if name not in own and math.isfinite(value)
            },
            "details": protocol_of(data.summary),
        }
    }


def compared(
    task: Task, data: PreparedData, assets: Assets, measured: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Compare the validation scores with the baselines, for ``metrics.json``.

    Args:
        measured: measurements of the model on the validation rows.
    """
    rows = data.rows("validation")
    scores = score_baselines(task, data.rows("train"), data.summary, assets, rows, measured)
    evaluation = task.score(measured, assets)
    value = evaluation.metrics[task.metric.name].value
    baselines = compare_with_baselines(task, value, evaluation.per_row, scores)
    return {
        "baselines": baselines,
        "warnings": baseline_warnings(task.metric.name, value, baselines),
    }


def measure_validation(
    model: Any, task: Task, assets: Assets, rows: Any, options: TrainingOptions
) -> Mapping[str, np.ndarray]:
    """The measurements of a model on the encoded validation rows."""
    from aitk.core.inference.predictors import KerasPredictor

    size = options.batch_size or BATCH_SIZE
    return measure_rows(rows, task, assets, KerasPredictor(model), batch_size=size)


def save_trained(
    draft: RunDraft,
    name: str,
    model: Any,
    history: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> None:
    """Write the model, its history, report and card, then its manifest."""
    from aitk.core.reporting.card import model_card
    from aitk.core.reporting.report import run_report

    model.save(draft.model_path("keras"))
    write_history(draft, history)
    write_json(draft.folder / "metrics.json", metrics)
    run_report(manifest, history, metrics, draft.folder / "report.html")
    draft.write("README.md", model_card(manifest, metrics, name=name))
    draft.finish(manifest)


def write_history(draft: RunDraft, history: Sequence[Mapping[str, Any]]) -> None:
    """Write ``history.csv``, one line per epoch."""
    with (draft.folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        if history:
            # A metric that is undefined for an epoch is missing in its row.
            names = dict.fromkeys(name for row in history for name in row)
            writer = csv.DictWriter(file, fieldnames=list(names))
            writer.writeheader()
            writer.writerows(history)


@contextlib.contextmanager
def measured_cost() -> Iterator[Any]:
    """Yield a function that returns the cost of the block so far."""
    wall, cpu, energy = time.monotonic(), time.process_time(), Energy()

    def cost() -> dict[str, float]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "wall_s": round(time.monotonic() - wall, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
            # Linux reports kilobytes, macOS bytes.
            "peak_memory_mb": round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1),
        } | ({} if (joules := energy.joules()) is None else {"energy_j": round(joules, 1)})

    yield cost
