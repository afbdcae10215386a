"""From rows and a predictor to what ``metrics.json`` and ``evaluations/`` keep."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Batch, Evaluation, Task
from aitk.core.training.batches import Predict, measure_rows

WORST = 20
DRAWN = 12  # of the worst answers
LONGEST_VALUE = 200  # characters of a field kept with a row's result
_ANSWERS = "answers"


@dataclass(frozen=True)
class Evaluated:
    """A task's evaluation and the answers it rests on.

    Attributes:
        evaluation: metrics, per-row scores, details.
        rows: one JSON object a row, in the order of the rows: ``key`` (a digest of the task's
            key), ``score`` (what the main metric averages), ``prediction``, ``fields``.
        measured: what ``Task.measure`` kept of the rows.
        worst: the worst answers, ready to be shown as a table.
        pictures: what the task draws, ``caption`` and ``png`` of each: of the evaluation as a
            whole, and of the worst answers.
    """

    evaluation: Evaluation
    rows: list[dict[str, Any]]
    measured: Mapping[str, np.ndarray]
    worst: list[dict[str, Any]]
    pictures: list[dict[str, Any]]

    def result(self, **facts: Any) -> dict[str, Any]:
        """The entry of ``metrics.json``, with further facts about the data.

        A metric that these rows leave undefined is left out.
        """
        scores = ((name, score.as_json()) for name, score in self.evaluation.metrics.items())
        metrics = {name: score for name, score in scores if score is not None}
        details = {"details": dict(self.evaluation.details), "worst": self.worst}
        return {"rows": len(self.rows), "metrics": metrics} | facts | details


def evaluate_rows(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    assets: Any,
    predict: Predict,
    *,
    reporter: Reporter,
    batch_size: int = 32,
    resamples: int = 1000,
    seed: int = 0,
    asked: Any = None,
) -> Evaluated:
    """Predict, decode and score labelled rows.

    Args:
        rows: fields as the task reads them, each read twice.
        predict: maps a batch's inputs to the model's outputs.
        resamples: bootstrap resamples of the intervals.
        seed: seed of the bootstrap.
        asked: the task's options of its answers; None where all are as by default.
    """
    measured = measure_rows(
        reporter.track(rows, "evaluating", total=len(rows)),
        _Answering(task, asked),  # type: ignore[arg-type]
        assets,
        predict,
        batch_size=batch_size,
        asked=asked,
    )
    answers = measured.pop(_ANSWERS)
    evaluation = task.score(measured, assets, resamples=resamples, seed=seed)
    results = [
        {
            "key": hashlib.sha256(task.key(fields).encode()).hexdigest()[:16],
            "score": round(float(score), 6),
            "prediction": answer,
            "fields": {name: _shortened(value) for name, value in fields.items()},
        }
        for fields, answer, score in zip(rows, answers, evaluation.per_row, strict=True)
    ]
    worst = _worst(results, higher=task.higher_is_better)
    details = dict(evaluation.details)
    pictures = [*details.pop("pictures", ())]
    table = []
    for rank, place in enumerate(worst):
        fields, kept = rows[place], results[place]["fields"]
        # Of bytes (a picture, a sound) only their number is kept, which says nothing.
        told = {name: kept[name] for name, value in fields.items() if not isinstance(value, bytes)}
        table.append(told | task.shown(fields, answers[place]))
        picture = task.draw(fields, answers[place]) if rank < DRAWN else None
        if picture is not None:
            from aitk.core.io.images import encode_png

            caption = f"{results[place]['fields'].get('name', place)}, one of the worst answers"
            pictures.append({"caption": caption, "png": encode_png(picture)})
    return Evaluated(
        evaluation=dataclasses.replace(evaluation, details=details),
        rows=results,
        measured=measured,
        worst=table,
        pictures=pictures,
    )


class _Answering:
    """A task that measures the decoded answers too, so that each row is predicted once."""

    def __init__(self, task: Task, asked: Any):
        self._task, self._asked = task, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def measure(self, batch: Batch, outputs: Any, assets: Any) -> dict[str, np.ndarray]:
        answers = self._task.decode(batch, outputs, assets, asked=self._asked)
        return dict(self._task.measure(batch, outputs, assets)) | {
            _ANSWERS: np.fromiter(answers, dtype=object, count=len(answers))
        }


def _worst(results: Sequence[Mapping[str, Any]], *, higher: bool) -> list[int]:
    """Places of the worst scores, the most confident answers first; perfect ones are none."""
    scores = [row["score"] for row in results]
    faulty = [at for at, score in enumerate(scores) if (score < 1 if higher else score > 0)]
    faulty.sort(
        key=lambda at: (
            scores[at] if higher else -scores[at],
            -results[at]["prediction"].get("probability", 0.0),
        )
    )
    return faulty[:WORST]


def _shortened(value: Any) -> Any:
    """A field as small JSON."""
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[: LONGEST_VALUE - 1] + "…"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, np.ndarray):
        return f"array {value.shape}" if value.size > 16 else value.tolist()
    return value
