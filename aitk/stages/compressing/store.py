"""Stores a model in a run format, with the first number format that preserves its score."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.opening import open_file, open_model
from aitk.core.artifacts.run import Run
from aitk.core.artifacts.run_layout import MODEL_FILES
from aitk.core.compression.export import export_model
from aitk.core.compression.schemes import (
    CALIBRATED,
    SCHEMES,
    Attempt,
    choose,
    default_budget,
    schemes_of,
)
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Evaluation, Task
from aitk.core.inference.prediction import measure_rows
from aitk.core.inference.predictors import Predictor
from aitk.core.metrics.statistics import measure_drop
from aitk.core.training.batches import drawn
from aitk.stages.compressing.steps import Candidate
from aitk.stages.options import CompressOptions

#: Rows per calibration batch: affects memory, not the ranges.
CALIBRATION_BATCH = 4
#: Maximum number of held-out rows for the selection of a scheme.
CHOOSING_ROWS = 1000
BATCH = 32


@dataclasses.dataclass(frozen=True)
class Stored:
    """How a model was stored.

    Attributes:
        facts: ``scheme`` and ``arithmetic``; after a selection also the budget, the rows it was
            based on, and ``tried``, the table of all attempts.
        missed: message that no scheme is within the budget.
    """

    facts: Mapping[str, Any]
    missed: str | None = None


def store(
    candidate: Candidate,
    task: Task,
    data: PreparedData,
    target: Path,
    *,
    format: str,
    options: CompressOptions,
    folder: Path,
    reporter: Reporter,
) -> Stored:
    """Write a candidate into the folder ``target`` as ``format``.

    Args:
        folder: for temporary files.

    Raises:
        ArtifactError: no scheme fits the model, or the converter crashes on it.
    """
    if format == "keras":
        shutil.copyfile(candidate.path, target / MODEL_FILES[format])
        return Stored({"scheme": "none", "arithmetic": SCHEMES["none"]})
    schemes = schemes_of(format, "static" if options.qat else options.quantize)
    converting = _Converting(candidate, task, data, format, options, folder, reporter)
    if options.quantize != "int8" or options.qat:  # then it was trained for one scheme
        converted = converting.first_of(schemes)
        _move(converted.folder, target)
        return Stored({"scheme": converted.scheme, "arithmetic": converted.arithmetic})
    split = data.held_out("validation")
    rows = drawn(data.rows(split), CHOOSING_ROWS)

    def scored(predictor: Predictor) -> Evaluation:
        measured = measure_rows(
            reporter.track(rows, f"scoring on {split}", total=len(rows)),
            task,
            candidate.assets,
            predictor,
            batch_size=BATCH,
        )
        return task.score(measured, candidate.assets)

    exact = scored(open_file(task.models[candidate.model], candidate.path))
    budget = options.max_drop
    if budget is None:
        budget = default_budget(task, exact.metrics[task.metric.name].value)
    kept, tried = choose(
        _attempts(converting, schemes, task, exact, scored, options, reporter), budget=budget
    )
    _move(converting.folder_of(kept.scheme), target)
    if any(each.scheme == "static" and each.drop and each is not kept for each in tried):
        reporter.note("static int8 loses too much: --qat 3 trains the network for it")
    lines = [attempt.line(budget=budget, chosen=attempt is kept) for attempt in tried]
    facts = {
        "scheme": kept.scheme,
        "arithmetic": kept.arithmetic,
        "max_drop": round(budget, 6),
        "chosen_on": f"{len(rows)} {split} rows",
        "tried": lines,
    }
    if kept.drop is not None and kept.drop.value > budget:
        return Stored(
            facts,
            f"no {options.quantize} scheme preserves {task.metric.name} within {budget:.4g} on the"
            f" {split} rows: the best, {kept.scheme}, loses {kept.drop.value:.4f}",
        )
    return Stored(facts)


@dataclasses.dataclass(frozen=True)
class _Converted:
    """A candidate in another format: the folder of its files, and its predictor."""

    folder: Path
    scheme: str
    arithmetic: str
    refused: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _Converting:
    """Converts one candidate by several schemes."""

    candidate: Candidate
    task: Task
    data: PreparedData
    format: str
    options: CompressOptions
    folder: Path
    reporter: Reporter

    def first_of(self, schemes: Sequence[str]) -> _Converted:
        """Convert by the first scheme that fits the model."""
        self.reporter.note(f"converting to {self.format}")
        made = self.folder_of("made")
        made.mkdir()
        exported = export_model(
            self.candidate.path,
            made / MODEL_FILES[self.format],
            format=self.format,
            schemes=schemes,
            calibration=self._calibration() if CALIBRATED.intersection(schemes) else (),
        )
        folder = made.rename(self.folder_of(exported.scheme))
        return _Converted(folder, exported.scheme, exported.arithmetic, exported.refused)

    def folder_of(self, scheme: str) -> Path:
        return self.folder / f"stored-{scheme}"

    def _calibration(self) -> Iterator[dict[str, np.ndarray]]:
        rows = drawn(self.data.rows("train"), self.options.calibration_rows)
        return calibration_batches(rows, self.task, self.candidate.assets)


def calibration_batches(
    rows: Sequence[Mapping[str, Any]], task: Task, assets: Assets
) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of rows in batches, padded to one shape; encoded one batch at a time.

    All batches have the same size: remaining rows are not used.
    """
    size = min(CALIBRATION_BATCH, len(rows))
    starts = range(0, len(rows) - size + 1, size)

    def encoded(start: int) -> list[Any]:
        return task.encode([rows[place] for place in range(start, start + size)], assets)

    longest = None
    if not task.fixed_length:
        longest = max(task.length(example) for start in starts for example in encoded(start))
    for start in starts:
        yield task.collate(encoded(start), assets, pad_to=longest).inputs


def _attempts(
    converting: _Converting,
    schemes: Sequence[str],
    task: Task,
    exact: Evaluation,
    scored: Callable[[Predictor], Evaluation],
    options: CompressOptions,
    reporter: Reporter,
) -> Iterator[Attempt]:
    """Convert and score by one scheme after another."""
    left = list(schemes)
    while left:
        try:
            made = converting.first_of(left)
        except ArtifactError as error:
            if len(left) == 1:
                raise
            shutil.rmtree(converting.folder_of("made"))
            reporter.note(f"{left[0]}: {error.what}")
            yield Attempt(left.pop(0), refused=error.what)
            continue
        for scheme, reason in made.refused.items():
            reporter.note(f"{scheme}: {reason}")
            yield Attempt(scheme, refused=reason)
        left = left[left.index(made.scheme) + 1 :]
        manifest = {"format": converting.format, "model": converting.candidate.model}
        run = Run(made.folder, manifest, trusted=True)
        try:
            found = scored(open_model(task, run, converting.candidate.assets))
        except ArtifactError as error:  # the converted model cannot be run, or is not finite
            reporter.note(f"{made.scheme}: {error.what}")
            yield Attempt(made.scheme, refused=error.what)
            continue
        drop = measure_drop(
            exact,
            found,
            metric=task.metric.name,
            higher_is_better=task.metric.higher_is_better,
            resamples=options.resamples,
        )
        lost = f"{made.scheme}: {task.metric.name} drops by {drop.value:.4f}"
        if drop.low is not None:
            lost += f" (95% interval {drop.low:.4f} to {drop.high:.4f})"
        if drop.sure:
            reporter.warn(f"{lost}, a significant loss" + (f": trying {left[0]}" if left else ""))
        else:
            reporter.note(lost)
        yield Attempt(made.scheme, made.arithmetic, run.model_bytes(), drop)


def _move(source: Path, target: Path) -> None:
    """Move the files of a model into a run."""
    for path in source.iterdir():
        shutil.move(path, target / path.name)
