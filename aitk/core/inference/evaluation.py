"""From rows and a predictor to the contents of ``metrics.json`` and ``evaluations/``."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.capabilities import Drawable, HasLanguages, Summarizable
from aitk.core.contract.errors import DataError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Evaluation, Task
from aitk.core.inference.prediction import measure_and_decode_rows

if TYPE_CHECKING:
    from aitk.core.inference.predictors import Predictor

WORST = 20
DRAWN = 12  # number of worst predictions drawn
LONGEST_LIST = 16  # maximum entries of a list stored in a row's result
LONGEST_VALUE = 200  # maximum characters of a field stored in a row's result
#: A language with fewer rows has no scores of its own.
ROWS_OF_A_LANGUAGE = 20
UNCLEAR = "und"


@dataclass(frozen=True)
class Evaluated:
    """A task's evaluation and the underlying predictions.

    Attributes:
        evaluation: metrics, per-row scores, details.
        rows: one JSON object per row, in row order: ``key`` (a digest of the task's key), ``score``
            (the values that the main metric averages), ``prediction``, ``fields``.
        measured: values of ``Task.measure`` for the rows.
        worst: the worst predictions, as a table.
        pictures: the task's drawings, ``caption`` and ``png`` of each: of the whole evaluation, and
            of the worst predictions.
    """

    evaluation: Evaluation
    rows: list[dict[str, Any]]
    measured: Mapping[str, np.ndarray]
    worst: list[dict[str, Any]]
    pictures: list[dict[str, Any]]

    def result(self, **facts: Any) -> dict[str, Any]:
        """The entry of ``metrics.json``, with further facts about the data.

        Metrics that are undefined for these rows are left out.
        """
        scores = ((name, score.as_json()) for name, score in self.evaluation.metrics.items())
        metrics = {name: score for name, score in scores if score is not None}
        details = {"details": dict(self.evaluation.details), "worst": self.worst}
        return {"rows": len(self.rows), "metrics": metrics} | facts | details


def evaluate_rows(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    assets: Assets,
    predict: Predictor,
    *,
    reporter: Reporter,
    batch_size: int = 32,
    resamples: int = 1000,
    seed: int = 0,
    options: Any = None,
) -> Evaluated:
    """Predict, decode and score labelled rows.

    Args:
        rows: rows in the form of the task; each is read twice.
        predict: maps a batch's inputs to the model's outputs.
        resamples: bootstrap resamples for the intervals.
        seed: seed of the bootstrap.
        options: an instance of ``task.predict_options``; None for the defaults.
    """
    measured, predictions = measure_and_decode_rows(
        reporter.track(rows, "evaluating", total=len(rows)),
        task,
        assets,
        predict,
        batch_size=batch_size,
        options=options,
    )
    evaluation = task.score(measured, assets, resamples=resamples, seed=seed)
    by_language = score_languages(rows, task, assets, measured)
    if by_language:
        tables = {**evaluation.details.get("tables", {}), "By language": by_language}
        details = {**evaluation.details, "tables": tables}
        evaluation = dataclasses.replace(evaluation, details=details)
    results: list[dict[str, Any]] = [
        {
            "key": hashlib.sha256(task.key(fields).encode()).hexdigest()[:16],
            "score": round(float(score), 6),
            "prediction": prediction,
            "fields": {name: _shortened(value) for name, value in fields.items()},
        }
        for fields, prediction, score in zip(rows, predictions, evaluation.per_row, strict=True)
    ]
    worst = _worst(results, higher=task.metric.higher_is_better)
    details = dict(evaluation.details)
    pictures = [*details.pop("pictures", ())]
    table = []
    for rank, place in enumerate(worst):
        fields, kept = rows[place], results[place]["fields"]
        # For bytes (an image, audio) only the size is stored.
        shown = {name: kept[name] for name, value in fields.items() if not isinstance(value, bytes)}
        prediction = predictions[place]
        if isinstance(task, Summarizable):
            prediction = task.summarize(fields, prediction)
        table.append(shown | prediction)
        picture = None
        if isinstance(task, Drawable) and rank < DRAWN:
            picture = task.draw(fields, predictions[place])
        if picture is not None:
            from aitk.core.io.images import encode_png

            caption = f"{results[place]['fields'].get('name', place)}, one of the worst predictions"
            pictures.append({"caption": caption, "png": encode_png(picture)})
    return Evaluated(
        evaluation=dataclasses.replace(evaluation, details=details),
        rows=results,
        measured=measured,
        worst=table,
        pictures=pictures,
    )


def _worst(results: Sequence[Mapping[str, Any]], *, higher: bool) -> list[int]:
    """Indices of the worst scores, most confident predictions first, without perfect ones."""
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
    """A field as compact JSON."""
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[: LONGEST_VALUE - 1] + "…"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, np.ndarray):
        return f"array {value.shape}" if value.size > 16 else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        if len(value) > LONGEST_LIST:
            return f"list of {len(value)}"
        return [_shortened(each) for each in value]
    return value


def score_languages(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    assets: Assets,
    measured: Mapping[str, np.ndarray],
) -> list[dict[str, Any]]:
    """The metrics of each language that has enough rows; nothing where it is only one.

    Args:
        measured: what ``Task.measure`` kept of the rows, in their order.
    """
    if not isinstance(task, HasLanguages):
        return []
    languages = np.array([task.language(fields) for fields in rows])
    names, counts = np.unique(languages, return_counts=True)
    enough = [name for name in names[np.argsort(-counts, kind="stable")]
              if (languages == name).sum() >= ROWS_OF_A_LANGUAGE]  # fmt: skip
    table: list[dict[str, Any]] = []
    for name in enough if len(set(enough) - {UNCLEAR}) > 1 else ():
        own = languages == name
        kept = {key: np.asarray(values)[own] for key, values in measured.items()}
        try:
            scored = task.score(kept, assets)
        except DataError:
            continue  # nothing of this language can be scored
        values = {key: round(score.value, 4) for key, score in scored.metrics.items()}
        tokens = {"tokens": scored.details["tokens"]} if "tokens" in scored.details else {}
        table.append({"language": str(name), "rows": int(own.sum())} | tokens | values)
    return table
