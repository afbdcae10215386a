"""``predict``: a prediction for every row of the user's files, in order, in constant memory."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.drafts import draft_folder
from aitk.core.artifacts.opening import open_reading, open_task
from aitk.core.artifacts.run import Run, load_run
from aitk.core.artifacts.targets import is_stream, part_of
from aitk.core.contract.capabilities import Drawable, ReadsOptions, WritesFiles
from aitk.core.contract.errors import DataError, Interrupted, UsageError
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Task
from aitk.core.inference.prediction import default_window
from aitk.core.io.files import fingerprint
from aitk.core.io.prediction_files import (
    CsvLines,
    IndexedLines,
    JsonLines,
    PredictionLines,
    RewritesHead,
    wrote,
)
from aitk.core.io.resumable import ResumableFile
from aitk.core.runtime import interrupts
from aitk.registry import load_task
from aitk.stages.options import PredictOptions
from aitk.stages.session import merge, open_session, refusal

if TYPE_CHECKING:
    from aitk.core.reporting.drawings import Drawings

STDIO = "-"
#: The field by which ``--overwrite`` recognises predictions of a task that names no others.
DEFAULT_FIELDS = ("prediction",)


def predict(
    run: Path,
    inputs: Sequence[str],
    *,
    out: str,
    domain: str,
    options: PredictOptions,
    predict_options: Mapping[str, Any] | None = None,
    located: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    trust: bool = False,
    write: Callable[[str], None],
    reporter: Reporter,
) -> Outcome:
    """Write one line for each record of the inputs.

    Args:
        inputs: files, folders, or ``-`` for stdin; none where a predict option holds the rows.
        predict_options: the task's own.
        located: reading options that say how rows are found in these inputs, where that differs
            from the training data.
        out: a ``.jsonl`` or ``.csv`` file or one of the task's formats, or ``-`` for JSON lines on
            stdout.
        trust: also execute a model that is a program.
        write: takes the text for stdout.

    Raises:
        DataError: more rows failed than ``options.max_errors``.
        ArtifactError: the run is of another domain, damaged, or predicts nothing.
    """
    started = time.monotonic()
    loaded = load_run(run, domain=domain, trust=trust)
    task = open_task(loaded, load_task)
    reading = open_reading(task, loaded, located)
    second = None
    if options.ensemble_with is not None:
        second = load_run(options.ensemble_with, trust=trust)
    lines = _lines_for(out, task, raw_cells=options.raw_cells)
    needed = lines.predict_options if isinstance(lines, IndexedLines) else {}
    chosen: Any = resolve(task.predict_options, {**needed, **(predict_options or {})})
    given = task.rows_in_options(chosen) if isinstance(task, ReadsOptions) else []
    if bool(given) == bool(inputs):
        what = "rows come from INPUT or from an option, not both" if given else "which rows?"
        raise UsageError(what, where="INPUT", hint="Name files or folders, or - for stdin")
    index = None
    if isinstance(lines, IndexedLines) and not is_stream(Path(out)):
        index = lines.index_path(Path(out))
    resumable = STDIO not in (out, *inputs) and not is_stream(Path(out))
    if options.resume and not resumable:
        raise UsageError("streams cannot be resumed", where="--resume")
    sink = _open_sink(
        out,
        lines,
        task,
        loaded,
        second,
        inputs,
        options,
        chosen,
        located=located or {},
        write=write,
        overwrite=overwrite,
    )
    with (
        _left(sink, resumable=resumable),
        _open_drawings(
            options,
            task,
            inputs=[run, *inputs, options.ensemble_with, out],
            overwrite=overwrite,
            keep=lambda part: resumable and sink.done > 0,
        ) as drawings,
    ):
        session = open_session(
            loaded,
            task,
            predict_options=chosen,
            second=second,
            weight=options.ensemble_weight,
            trust=trust,
            reporter=reporter,
        )
        items: Iterable[Row | Refusal] = given
        if inputs:
            items = task.read(inputs, reading, labelled=False, note=reporter.note)
        items = iter(items)
        for item in itertools.islice(items, sink.done):
            interrupts.check()
            if drawings is not None and isinstance(item, Row):
                drawings.take_up(_drawing_name(item))
        several = len(inputs) > 1 or any(map(os.path.isdir, inputs))
        resumed = sink.done
        refused = sink.notes.get("refused", 0)
        lines.columns = sink.notes.get("columns", [])
        for window, next_batches in windows(
            items,
            options.batch_size,
            batches=sink.notes.get("batches", 1),
            max_batches=default_window(task),
            until_row=lines.needs_columns,
        ):
            predictions = session.predict(
                window, batch_size=options.batch_size, top_k=options.top_k
            )
            text = lines.format(
                _line(*pair, several) for pair in zip(window, predictions, strict=True)
            )
            if drawings is not None:
                _draw(drawings, window, predictions, task)
            failed = [item for item in window if isinstance(item, Refusal)]
            refused += len(failed)
            notes = {"refused": refused, "columns": lines.columns, "batches": next_batches}
            sink.append(text, items=len(window), notes=notes)
            reporter.update("predicting", sink.done, None)
            if options.max_errors is not None and refused > options.max_errors:
                raise DataError(
                    f"{refused} rows failed, more than --max-errors {options.max_errors}:"
                    f" {failed[-1].reason}",
                    where=failed[-1].where,
                )
        if tail := lines.tail():
            sink.append(tail, items=0, notes=sink.notes)
        if isinstance(lines, RewritesHead) and isinstance(sink, ResumableFile) and sink.done:
            sink.rewrite_head(lines.head())
        sink.finish()
        if isinstance(lines, IndexedLines) and index is not None:
            lines.write_index(Path(out))
        if drawings is not None:
            drawings.finish()
    if lines.left_out:
        reporter.warn(f"columns that the first rows lack: {', '.join(sorted(lines.left_out))}")
    seconds = time.monotonic() - started
    return Outcome(
        facts={
            "run": str(run),
            "out": out,
            **({"index": str(index)} if index else {}),
            "rows": sink.done,
            "refused": refused,
            "resumed_after": resumed,
            **({"drawn": options.draw} if options.draw else {}),
            "seconds": round(seconds, 2),
            "rows_per_second": round((sink.done - resumed) / seconds, 1),
        },
        refused=refused,
    )


def windows(
    items: Iterable[Row | Refusal],
    batch_size: int,
    *,
    batches: int = 1,
    max_batches: int,
    until_row: bool = False,
) -> Iterator[tuple[list[Row | Refusal], int]]:
    """Cut a stream into windows: one batch at first, for a quick first prediction, then more.

    With each comes the number of batches of the next one: a resumed ``predict`` makes the same
    batches, on which the last digits of a model's outputs depend.

    Args:
        batches: of the first window.
        max_batches: of any window.
        until_row: the first goes on until it holds a row.
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


class _Stream:
    """Writes to stdout, a device or a pipe, with the methods of a ``ResumableFile``."""

    def __init__(self, write: Callable[[str], object], close: Callable[[], None] = lambda: None):
        self._write, self._close = write, close
        self.done = 0
        self.notes: Mapping[str, Any] = {}

    def append(self, text: str | bytes, *, items: int, notes: Mapping[str, Any]) -> None:
        if isinstance(text, bytes):
            raise UsageError("numbers are not written to a stream", where="--out")
        self._write(text)
        self.done += items
        self.notes = notes

    def finish(self) -> None:
        """Nothing to rename."""

    def leave(self) -> None:
        """Close it."""
        self._close()


def _lines_for(out: str, task: Task, *, raw_cells: bool) -> PredictionLines:
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
            f"cannot write {out!r}", where="--out", hint=f"Name a file that ends in {known}"
        )
    return kind()


def _open_sink(
    out: str,
    lines: PredictionLines,
    task: Task,
    run: Run,
    second: Run | None,
    inputs: Sequence[str],
    options: PredictOptions,
    predict_options: Any,
    *,
    located: Mapping[str, Any],
    write: Callable[[str], None],
    overwrite: bool,
) -> ResumableFile | _Stream:
    if out == STDIO:
        return _Stream(write)
    if is_stream(Path(out)):
        file = open(out, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        return _Stream(file.write, file.close)
    identity = {
        "run": dict(run.manifest),
        "inputs": [_described(Path(name)) for name in inputs],
        "top_k": options.top_k,
        "raw_cells": options.raw_cells,
        "predict_options": as_dict(predict_options),
        "located": dict(located),
        "ensemble": [dict(second.manifest), options.ensemble_weight] if second else None,
    }
    names = task.prediction_fields if isinstance(task, WritesFiles) else DEFAULT_FIELDS
    return ResumableFile(
        Path(out),
        identity=fingerprint(identity),
        resume=options.resume,
        overwrite=overwrite,
        inputs=[run.folder, *inputs, options.ensemble_with],
        options=predict_options,
        is_own=lambda path: wrote(path, lines, names),
    )


@contextlib.contextmanager
def _left(sink: ResumableFile | _Stream, *, resumable: bool) -> Iterator[None]:
    """Close a sink in the end; say how to go on with one that was interrupted."""
    try:
        yield
    except Interrupted as error:
        if sink.done and resumable:
            raise Interrupted(error.what, hint="Go on with --resume") from error
        raise
    finally:
        sink.leave()


@contextlib.contextmanager
def _open_drawings(
    options: PredictOptions,
    task: Task,
    *,
    inputs: Sequence[str | Path | None],
    overwrite: bool,
    keep: Callable[[Path], bool],
) -> Iterator[Drawings | None]:
    if options.draw is None:
        yield None
        return
    if not isinstance(task, Drawable):
        raise UsageError(f"predictions of {task.name} cannot be drawn", where="--draw")
    from aitk.core.reporting.drawings import Drawings

    resume = options.resume and keep(part_of(Path(options.draw)))
    with draft_folder(
        Path(options.draw), inputs=inputs, overwrite=overwrite, resume=resume, keep=keep
    ) as folder:
        yield Drawings(folder)


def _draw(
    drawings: Drawings,
    window: Sequence[Row | Refusal],
    predictions: Sequence[Mapping[str, Any] | None],
    task: Task,
) -> None:
    for item, found in zip(window, predictions, strict=True):
        if isinstance(task, Drawable) and isinstance(item, Row) and found is not None:
            picture = task.draw(item.fields, found)
            if picture is not None:
                drawings.add(_drawing_name(item), picture)


def _drawing_name(row: Row) -> str:
    return row.fields.get("name", f"row-{row.line}")


def _described(path: Path) -> list[Any]:
    """A file or folder by name, sizes and times, so that a changed input is noticed."""
    files = sorted(path.rglob("*")) if os.path.isdir(path) else [path]
    stats = [(str(file), file.stat()) for file in files if os.path.isfile(file)]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def _line(
    item: Row | Refusal, prediction: Mapping[str, Any] | None, several: bool
) -> dict[str, Any]:
    if isinstance(item, Refusal):
        return refusal(item, several=several)
    return merge(item, prediction or {})
