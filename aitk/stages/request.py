"""The request of ``predict``, and the windows of its predictions."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.artifacts.opening import open_reading, open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.artifacts.targets import is_stream
from aitk.core.contract.capabilities import ReadsOptions, WritesFiles
from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note, Task
from aitk.core.inference.prediction import default_window
from aitk.core.io.files import described, fingerprint
from aitk.core.io.prediction_files import (
    CsvLines,
    IndexedLines,
    JsonLines,
    NeedsReading,
    PredictionLines,
)
from aitk.core.runtime import interrupts
from aitk.registry import load_task
from aitk.stages.options import PredictOptions
from aitk.stages.session import Session, merge, open_session, refusal

STDIO = "-"


@dataclass(frozen=True)
class Predicted:
    """A window of records with their predictions.

    Attributes:
        rows: one line per record, including refused ones.
        refused: number of refused records.
        last: place and reason of the last refusal.
        batches: number of batches of the next window.
        facts: facts found while reading, if the format needs them (``NeedsReading``).
    """

    rows: list[dict[str, Any]]
    refused: int
    last: tuple[str, str] | None
    batches: int
    facts: Mapping[str, Any] | None = None


class Request:
    """The request of ``predict``, checked as far as possible without reading rows.

    Args:
        inputs, options, ...: see ``predict``.

    Raises:
        ArtifactError: the run is of another domain, or damaged.
        UsageError: an option is invalid, or no rows are given.
    """

    def __init__(
        self,
        *,
        run: Path,
        inputs: Sequence[str],
        out: str,
        domain: str,
        options: PredictOptions,
        predict_options: Mapping[str, Any],
        located: Mapping[str, Any],
        trust: bool,
    ):
        self.run, self.inputs, self.out, self.domain = run, inputs, out, domain
        self.options, self.own, self.located, self.trust = options, predict_options, located, trust
        self.loaded = load_run(run, domain=domain, trust=trust)
        self.task = open_task(self.loaded, load_task)
        self.reading = open_reading(self.task, self.loaded, located)
        self.second: Run | None = None
        if options.ensemble_with is not None:
            self.second = load_run(options.ensemble_with, trust=trust)
        self.lines = lines_for(out, self.task, raw_cells=options.raw_cells)
        needed = self.lines.predict_options if isinstance(self.lines, IndexedLines) else {}
        self.chosen: Any = resolve(self.task.predict_options, {**needed, **predict_options})
        self.given = (
            self.task.rows_in_options(self.chosen, self.reading)
            if isinstance(self.task, ReadsOptions)
            else []
        )
        if bool(self.given) == bool(inputs):
            given = "rows must come from either INPUT or an option"
            what = given if self.given else "no rows given"
            raise UsageError(what, where="INPUT", hint="Name files or folders, or - for stdin")
        self.several = len(inputs) > 1 or any(map(os.path.isdir, inputs))

    def items(self, note: Note) -> Iterator[Row | Refusal]:
        """The records from the start."""
        if not self.inputs:
            return iter(self.given)
        return iter(self.task.read(self.inputs, self.reading, labelled=False, note=note))

    def session(self, reporter: Reporter) -> Session:
        """The model, loaded."""
        return open_session(
            self.loaded,
            self.task,
            predict_options=self.chosen,
            second=self.second,
            weight=self.options.ensemble_weight,
            trust=self.trust,
            reporter=reporter,
        )

    def windows(
        self, items: Iterable[Row | Refusal], batches: int
    ) -> Iterator[tuple[list[Row | Refusal], int]]:
        """The records in windows; the first has the given number of batches."""
        return windows(
            items,
            self.options.batch_size,
            batches=batches,
            max_batches=default_window(self.task),
            until_row=self.lines.needs_columns,
        )

    def predicted(
        self,
        window: Sequence[Row | Refusal],
        predictions: Sequence[Mapping[str, Any] | None],
        batches: int,
    ) -> Predicted:
        """A window in its output form."""
        rows = [_line(*pair, self.several) for pair in zip(window, predictions, strict=True)]
        failed = [item for item in window if isinstance(item, Refusal)]
        last = (failed[-1].where, failed[-1].reason) if failed else None
        return Predicted(rows, len(failed), last, batches)

    def lines_facts(self) -> Mapping[str, Any] | None:
        """Facts found while reading, if the format needs them."""
        return self.lines.reading_facts() if isinstance(self.lines, NeedsReading) else None

    def identity(self) -> str:
        """Identifies the inputs of the predictions."""
        second, weight = self.second, self.options.ensemble_weight
        return fingerprint(
            {
                "run": dict(self.loaded.manifest),
                "inputs": [described(Path(name)) for name in self.inputs],
                "top_k": self.options.top_k,
                "raw_cells": self.options.raw_cells,
                "predict_options": as_dict(self.chosen),
                "located": dict(self.located),
                "ensemble": [dict(second.manifest), weight] if second else None,
            }
        )

    @property
    def read_files(self) -> list[str | Path | None]:
        """Files that must not be overwritten."""
        return [self.loaded.folder, *self.inputs, self.options.ensemble_with]


def check_refused(refused: int, window: Predicted, options: PredictOptions) -> None:
    """Stop if more rows failed than the options allow.

    Raises:
        DataError: with the last refusal.
    """
    if options.max_errors is not None and refused > options.max_errors and window.last:
        where, reason = window.last
        raise DataError(
            f"{refused} rows failed, more than --max-errors {options.max_errors}: {reason}",
            where=where,
        )


def windows(
    items: Iterable[Row | Refusal],
    batch_size: int,
    *,
    batches: int = 1,
    max_batches: int,
    until_row: bool = False,
) -> Iterator[tuple[list[Row | Refusal], int]]:
    """Split a stream into windows: one batch at first, for a quick first prediction, then more.

    Each window includes the number of batches of the next one: a resumed ``predict`` makes the same
    batches, on which the last digits of a model's outputs depend.

    Args:
        batches: of the first window.
        max_batches: of any window.
        until_row: the first window extends until it has a row.
    """
    iterator = iter(items)
    window: list[Row | Refusal] = []
    while taken := list(itertools.islice(iterator, batch_size * batches)):
        window += taken
        if until_row and not any(isinstance(item, Row) for item in taken):
            continue
        batches = min(2 * batches, max_batches)
        yield window, batches
        window, until_row = [], False
        interrupts.check()
    if window:
        yield window, batches


def lines_for(out: str, task: Task, *, raw_cells: bool) -> PredictionLines:
    """The text format of predictions for a file of this name.

    Raises:
        UsageError: the task does not support this format.
    """
    kinds: dict[str, Callable[[], PredictionLines]] = {
        STDIO: JsonLines,
        ".jsonl": JsonLines,
        ".ndjson": JsonLines,
        ".csv": functools.partial(CsvLines, raw=raw_cells),
        **(task.prediction_formats if isinstance(task, WritesFiles) else {}),
    }
    kind = kinds.get(out if out == STDIO else Path(out).suffix.lower())
    if kind is None and is_stream(Path(out)):
        kind = JsonLines
    if kind is None:
        known = ", ".join(name for name in kinds if name != STDIO)
        raise UsageError(
            f"cannot write {out!r}", where="--out", hint=f"Use a file name with one of: {known}"
        )
    return kind()


def _line(
    item: Row | Refusal, prediction: Mapping[str, Any] | None, several: bool
) -> dict[str, Any]:
    if isinstance(item, Refusal):
        return refusal(item, several=several)
    return merge(item, prediction or {})
