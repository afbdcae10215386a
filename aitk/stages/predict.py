"""``predict``: a prediction for every row of the user's files, in order, in constant memory."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.core.artifacts.drafts import draft_folder
from aitk.core.artifacts.targets import is_stream, part_of
from aitk.core.contract.capabilities import Drawable, WritesFiles
from aitk.core.contract.errors import Interrupted, UsageError
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Task
from aitk.core.io.prediction_files import (
    IndexedLines,
    NeedsReading,
    RewritesHead,
    wrote,
)
from aitk.core.io.resumable import ResumableFile
from aitk.core.runtime import interrupts
from aitk.stages.options import PredictOptions
from aitk.stages.request import STDIO, Predicted, Request, check_refused

if TYPE_CHECKING:
    from aitk.core.reporting.drawings import Drawings

#: The field that identifies predictions to ``--overwrite`` for tasks that define none.
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
    predicted: Callable[[Request, int, int], Iterator[Predicted]] | None = None,
    reporter: Reporter,
) -> Outcome:
    """Write one line for each record of the inputs.

    Args:
        inputs: files, folders, or ``-`` for stdin; none if a predict option holds the rows.
        predict_options: options of the task.
        located: reading options that locate rows in these inputs, if they differ from those of
            the training data.
        out: a ``.jsonl`` or ``.csv`` file or one of the task's formats, or ``-`` for JSON lines on
            stdout.
        trust: also execute a model that contains a program.
        write: receives the text for stdout.
        predicted: function for predictions of other processes: its arguments are the request, the
            number of finished records, and the batches of the next window.

    Raises:
        DataError: more rows failed than ``options.max_errors``.
        ArtifactError: the run is of another domain, damaged, or makes no predictions.
    """
    started = time.monotonic()
    request = Request(
        run=run,
        inputs=inputs,
        out=out,
        domain=domain,
        options=options,
        predict_options=predict_options or {},
        located=located or {},
        trust=trust,
    )
    lines, task = request.lines, request.task
    index = None
    if isinstance(lines, IndexedLines) and not is_stream(Path(out)):
        index = lines.index_path(Path(out))
    resumable = STDIO not in (out, *inputs) and not is_stream(Path(out))
    if options.resume and not resumable:
        raise UsageError("streams cannot be resumed", where="--resume")
    sink = _open_sink(request, write=write, overwrite=overwrite)
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
        resumed = sink.done
        refused = sink.notes.get("refused", 0)
        lines.columns = sink.notes.get("columns", [])
        batches = sink.notes.get("batches", 1)
        if predicted is not None:
            found = predicted(request, resumed, batches)
        else:
            found = _predicted_here(request, resumed, batches, drawings, reporter)
        for window in found:
            if window.facts is not None and isinstance(lines, NeedsReading):
                lines.set_reading_facts(window.facts)
            text = lines.format(window.rows)
            refused += window.refused
            notes = {"refused": refused, "columns": lines.columns, "batches": window.batches}
            sink.append(text, items=len(window.rows), notes=notes)
            if predicted is None:
                reporter.update("predicting", sink.done, None)
            check_refused(refused, window, options)
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
        reporter.warn(
            f"omitted columns that the first rows lack: {', '.join(sorted(lines.left_out))}"
        )
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


def _predicted_here(
    request: Request,
    done: int,
    batches: int,
    drawings: Drawings | None,
    reporter: Reporter,
) -> Iterator[Predicted]:
    """The predictions for the records after the first ``done``, computed in this process."""
    session = request.session(reporter)
    items = request.items(reporter.note)
    for item in itertools.islice(items, done):
        interrupts.check()
        if drawings is not None and isinstance(item, Row):
            drawings.take_up(_drawing_name(item))
    options = request.options
    for window, following in request.windows(items, batches):
        predictions = session.predict(window, batch_size=options.batch_size, top_k=options.top_k)
        if drawings is not None:
            _draw(drawings, window, predictions, request.task)
        yield request.predicted(window, predictions, following)


class _Stream:
    """Writes to stdout, a device or a pipe, with the methods of a ``ResumableFile``."""

    def __init__(self, write: Callable[[str], object], close: Callable[[], None] = lambda: None):
        self._write, self._close = write, close
        self.done = 0
        self.notes: Mapping[str, Any] = {}

    def append(self, text: str | bytes, *, items: int, notes: Mapping[str, Any]) -> None:
        if isinstance(text, bytes):
            raise UsageError("arrays cannot be written to a stream", where="--out")
        self._write(text)
        self.done += items
        self.notes = notes

    def finish(self) -> None:
        """Nothing to rename."""

    def leave(self) -> None:
        """Close it."""
        self._close()


def _open_sink(
    request: Request, *, write: Callable[[str], None], overwrite: bool
) -> ResumableFile | _Stream:
    out, lines, task = request.out, request.lines, request.task
    if out == STDIO:
        return _Stream(write)
    if is_stream(Path(out)):
        file = open(out, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        return _Stream(file.write, file.close)
    names = task.prediction_fields if isinstance(task, WritesFiles) else DEFAULT_FIELDS
    return ResumableFile(
        Path(out),
        identity=request.identity(),
        resume=request.options.resume,
        overwrite=overwrite,
        inputs=request.read_files,
        options=request.chosen,
        is_own=lambda path: wrote(path, lines, names),
    )


@contextlib.contextmanager
def _left(sink: ResumableFile | _Stream, *, resumable: bool) -> Iterator[None]:
    """Close a sink on exit; add a hint on resuming to an interruption."""
    try:
        yield
    except Interrupted as error:
        if sink.done and resumable:
            raise Interrupted(error.what, hint="Continue with --resume") from error
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
