"""``explain``: the contribution of each part of a row to its prediction."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.drafts import draft_folder
from aitk.core.artifacts.opening import open_assets, open_model, open_reading, open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.contract.capabilities import Explainable
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.model_spec import BACKBONE
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Assets, Task
from aitk.core.inference.prediction import predict_rows
from aitk.core.io.files import write_json
from aitk.core.reporting.explanations_report import explanations_report
from aitk.core.reporting.importance import global_importance
from aitk.registry import load_task
from aitk.stages.options import ExplainOptions
from aitk.stages.training.run_data import data_of

BATCH_SIZE = 32
#: Training rows among which the nearest are looked for.
NEIGHBOUR_ROWS = 2000
SHOWN_CHARACTERS = 160


def explain(
    run: Path,
    inputs: Sequence[str],
    out: Path,
    *,
    options: ExplainOptions,
    located: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust: bool = False,
    domain: str | None = None,
    reporter: Reporter,
) -> Outcome:
    """Explain the first rows of the inputs, for a run of any format.

    Args:
        inputs: the user's files, folders or ``-``.
        located: reading options for these inputs.
        trust: also execute a model that contains a program.
        out: a folder, complete or absent: ``explanations.jsonl`` and ``explanations.html``.

    Raises:
        UsageError: ``out`` exists, the target is not a label of the run, or predictions of the task
            cannot be explained.
        DataError: the inputs contain no row.
    """
    opened = load_run(run, domain=domain, trust=trust)
    task = open_task(opened, load_task)
    if not isinstance(task, Explainable):
        raise UsageError(f"predictions of {task.name} cannot be explained", where=str(run))
    with draft_folder(out, inputs=[run, *inputs], overwrite=overwrite) as folder:
        reading = open_reading(task, opened, located)
        rows, refused = _first_rows(task, inputs, reading, options.rows, reporter)
        explanations = explain_rows(
            opened, task, rows, target=options.target, neighbours=options.neighbours,
            reporter=reporter,
        )  # fmt: skip
        with (folder / "explanations.jsonl").open("w", encoding="utf-8") as file:
            for number, (row, explanation) in enumerate(zip(rows, explanations, strict=True), 1):
                line = {"file": row.file, "line": row.line} | explanation
                if pictures := explanation.get("pictures"):
                    line["pictures"] = _write_pictures(pictures, folder, stem=f"{number:03}")
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        faithfulness = _mean_faithfulness(explanations)
        explanations_report(
            explanations,
            folder / "explanations.html",
            run=str(run),
            facts={"rows": len(rows)} | faithfulness,
            names=[f"{row.file}:{row.line}" if row.line else str(row.file) for row in rows],
        )
        write_json(folder / "importance.json", global_importance(explanations))
    return Outcome(
        facts={
            "run": str(run),
            "rows": len(rows),
            **faithfulness,
            "explanations": str(out / "explanations.jsonl"),
            "page": str(out / "explanations.html"),
        },
        refused=len(refused),
    )


def explain_rows(
    run: Run,
    task: Task,
    rows: Sequence[Row],
    *,
    target: str | None = None,
    neighbours: int = 0,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Explain the prediction for each row.

    Args:
        target: explain this label instead of the predicted one.
        neighbours: number of nearest training rows to find for each.

    Raises:
        UsageError: the target is not a label of the run, predictions of the task cannot be
            explained, or the run has no encoder to find neighbours with.
    """
    if not isinstance(task, Explainable):
        raise UsageError(f"predictions of {task.name} cannot be explained", where=str(run.folder))
    assets = open_assets(task, run)
    predict = _predict_fields(task, assets, open_model(task, run, assets, reporter=reporter))
    model = _model_of(run)
    explanations = []
    for row in reporter.track(rows, "explaining"):
        found = task.explain(row.fields, predict, assets, target=target, model=model)
        explanations.append(found)
        if note := found.get("note"):
            reporter.note(f"{row.file}:{row.line}: {note}")
    if neighbours:
        every = nearest_rows(run, task, assets, model, rows, count=neighbours, reporter=reporter)
        for explanation, nearest in zip(explanations, every, strict=True):
            explanation["nearest"] = nearest
    return explanations


def nearest_rows(
    run: Run,
    task: Task,
    assets: Assets,
    model: Callable[[], Any] | None,
    rows: Sequence[Row],
    *,
    count: int,
    reporter: Reporter,
) -> list[list[dict[str, Any]]]:
    """The training rows whose vectors, by the run's own encoder, are nearest to those of rows.

    Of a large split, ``NEIGHBOUR_ROWS`` evenly spaced ones are looked at.

    Returns:
        For each row the nearest: ``similarity`` (the cosine), and the short fields of the row.

    Raises:
        UsageError: the run has no encoder.
        ArtifactError: its data is gone.
    """
    from aitk.core.inference.embedding import row_vectors

    names = [layer.name for layer in model().layers] if model is not None else []
    if model is None or BACKBONE not in names:
        raise UsageError(
            "has no Keras encoder to compare rows with", where="--neighbours",
            hint="Take a run that is not compressed, of a model with a backbone",
        )  # fmt: skip
    known = data_of(task, run).rows("train")
    places = np.unique(np.linspace(0, len(known) - 1, min(len(known), NEIGHBOUR_ROWS)).astype(int))
    train = known.take(places)
    reporter.status(f"comparing with {len(train):,} training rows")
    backbone = model().get_layer(BACKBONE)
    vectors = [
        _unit(row_vectors(backbone, task, assets, fields))
        for fields in ([row.fields for row in rows], train)
    ]
    similar = vectors[0] @ vectors[1].T  # (rows, training rows)
    return [
        [
            {"similarity": round(float(line[at]), 4)} | _shown_fields(task, train[at])
            for at in np.argsort(-line, kind="stable")[:count]
        ]
        for line in similar
    ]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _shown_fields(task: Task, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a person which row it is."""
    short = {
        name: value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
        for name, value in fields.items()
        if isinstance(value, str) and value
    }
    return short or {"row": task.key(fields)[:SHOWN_CHARACTERS]}


def _first_rows(
    task: Task,
    inputs: Sequence[str],
    reading: Any,
    most: int,
    reporter: Reporter,
) -> tuple[list[Row], list[Refusal]]:
    refused: list[Refusal] = []

    def accepted() -> Iterator[Row]:
        for item in task.read(inputs, reading, labelled=False, note=reporter.note):
            if isinstance(item, Refusal):
                reporter.warn(f"{item.where}: {item.reason}")
                refused.append(item)
            else:
                yield item

    rows = list(itertools.islice(accepted(), most))
    if not rows:
        raise DataError("no row to explain", where=", ".join(inputs))
    return rows, refused


def _predict_fields(
    task: Task, assets: Assets, predict: Callable[..., Any]
) -> Callable[[Sequence[Mapping[str, Any]]], Any]:
    """The function passed to ``Explainable.explain``: rows' fields to outputs (rows, ...), or a
    dict of them for a model with several outputs."""

    def outputs(rows: Sequence[Mapping[str, Any]]) -> Any:
        found = list(predict_rows(rows, task, assets, predict, batch_size=BATCH_SIZE))
        if isinstance(found[0], Mapping):
            return {name: _stacked([item[name] for item in found]) for name in found[0]}
        return _stacked(found)

    return outputs


def _stacked(arrays: Sequence[np.ndarray]) -> Any:
    """Arrays of one shape as one; others (sentences padded separately) as a list."""
    same = len({array.shape for array in arrays}) == 1
    return np.stack(arrays) if same else list(arrays)


def _model_of(run: Run) -> Callable[[], Any] | None:
    """A function that opens the run's Keras model, once."""
    if run.format != "keras":
        return None
    from aitk.core.artifacts.keras_file import load_keras

    return functools.cache(lambda: load_keras(run.model_path))


def _write_pictures(
    pictures: Sequence[Mapping[str, Any]], folder: Path, *, stem: str
) -> list[dict[str, str]]:
    """Write each picture to a file, and add its name next to the caption."""
    named = []
    for number, picture in enumerate(pictures, 1):
        kind = "svg" if "svg" in picture else "png"
        name, data = f"{stem}-{number}.{kind}", picture[kind]
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        named.append({"caption": picture["caption"], "file": name})
    return named


def _mean_faithfulness(explanations: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean decrease without the attributed parts, against that without random ones."""
    known = [item["faithfulness"] for item in explanations if item.get("faithfulness")]
    if not known:
        return {}
    means = {
        f"drop_without_{name}_parts": float(np.mean([item[name] for item in known]))
        for name in ("named", "random")
    }
    curves = ("deletion", "deletion_random", "insertion", "insertion_random")
    for name in curves:
        if all(name in item for item in known):
            means[name] = float(np.mean([item[name] for item in known]))
    return means
