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
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Task
from aitk.core.inference.prediction import predict_rows
from aitk.core.reporting.report import explanations_report
from aitk.registry import load_task
from aitk.stages.options import ExplainOptions

BATCH_SIZE = 32


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
        explanations = explain_rows(opened, task, rows, target=options.target, reporter=reporter)
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
        )
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
    run: Run, task: Task, rows: Sequence[Row], *, target: str | None = None, reporter: Reporter
) -> list[dict[str, Any]]:
    """Explain the prediction for each row.

    Args:
        target: explain this label instead of the predicted one.

    Raises:
        UsageError: the target is not a label of the run, or predictions of the task cannot be
            explained.
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
    return explanations


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
    task: Task, assets: Any, predict: Callable[..., Any]
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
    return {
        f"drop_without_{name}_parts": float(np.mean([item[name] for item in known]))
        for name in ("named", "random")
    }
