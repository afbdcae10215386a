"""``aitk.prepare``: convert the user's files to a folder of checked, split rows."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.api.arguments import divide
from aitk.api.progress import Callback, reporter_for
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter

if TYPE_CHECKING:
    from aitk.core.artifacts.data import PreparedData
    from aitk.core.artifacts.parts import PartNumber
    from aitk.stages.options import ParallelOptions

PathLike = str | os.PathLike[str]


class Data:
    """Prepared data: rows of a task, split for training and testing.

    Attributes:
        folder: its path.
        outcome: the report of ``prepare``; empty for an existing folder.
    """

    def __init__(self, folder: PathLike, *, outcome: Outcome | None = None):
        self.folder = Path(folder)
        self.outcome = outcome or Outcome(facts={})

    @functools.cached_property
    def _data(self) -> PreparedData:
        from aitk.core.artifacts.data import load_data

        return load_data(self.folder)

    def __repr__(self) -> str:
        return f"Data({str(self.folder)!r}, task={self.task!r}, splits={self.splits})"

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def task(self) -> str:
        """The full name of its task, such as ``nlp.classify``."""
        return self._data.task

    @property
    def splits(self) -> Mapping[str, int]:
        """The number of rows of each split."""
        return self._data.splits

    @property
    def summary(self) -> Mapping[str, Any]:
        """Statistics of the rows: labels, counts, findings."""
        return self._data.summary

    def rows(self, split: str = "train") -> Sequence[Mapping[str, Any]]:
        """The rows of a split, read lazily from disk."""
        return self._data.rows(split)


def prepare(
    sources: PathLike | Sequence[PathLike],
    *,
    task: str,
    out: PathLike,
    overwrite: bool = False,
    workers: int | None = None,
    part: str | None = None,
    engine: str | None = None,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Data:
    """Read, clean, check and split the rows of files.

    Args:
        sources: a file, a folder or ``tfds:NAME``, or several.
        task: full name of the task (``aitk tasks`` lists them).
        out: the folder to write; complete or absent.
        overwrite: replace ``out``, if aitk wrote it.
        workers: number of processes that read the rows.
        part: read only part K of N, ``"K/N"``, into ``OUT.K-of-N``; see ``aitk.join``.
        engine: address of a Ray cluster for the workers.
        progress: a function called with ``Progress`` objects.
        options: options of ``aitk DOMAIN prepare`` and reading options of the task, such as
            ``split="80/10/10"`` or ``label_column="intent"``.

    Raises:
        aitk.errors.UsageError: an unknown task or option, or ``out`` cannot be written.
        aitk.errors.DataError: the files contain no usable rows.

    Example:
        >>> import aitk
        >>> data = aitk.prepare("sample_data/messages.csv", task="nlp.classify",
        ...                     out="data/messages", label_column="intent")
        >>> data.task
        'nlp.classify'
    """
    from aitk.core.contract.options import resolve
    from aitk.registry import TASKS, load, load_task
    from aitk.stages.options import ParallelOptions, PrepareOptions

    load_task(task)  # refuses an unknown name
    reading = load(TASKS[task].reading)
    general, own = divide(options, PrepareOptions, reading)
    given = {"workers": workers, "part": part, "engine": engine}
    number = parallel_of(resolve(ParallelOptions, given))
    named = [os.fspath(source) for source in as_list(sources)]
    shared: dict[str, Any] = {
        "task": task,
        "options": resolve(PrepareOptions, general),
        "reading": resolve(reading, own),
        "overwrite": overwrite,
        "reporter": reporter_for(progress),
    }
    if number is not None:
        from aitk.stages.parts.prepared import prepare_part

        return Data(
            number.name(Path(out)), outcome=prepare_part(named, Path(out), number, **shared)
        )
    if workers is not None and workers > 1:
        from aitk.stages.parts.workers import prepare_with_workers

        outcome = prepare_with_workers(named, Path(out), workers=workers, engine=engine, **shared)
        return Data(out, outcome=outcome)
    from aitk.stages.prepare import prepare as stage

    return Data(out, outcome=stage(named, Path(out), **shared))


def join(
    parts: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    overwrite: bool = False,
    trust: bool = False,
    write: Callable[[str], None] | None = None,
    progress: Callback | Reporter | None = None,
) -> Outcome:
    """Combine the parts written by ``prepare`` or ``predict_to`` with ``part="K/N"``.

    Args:
        parts: all parts, in any order.
        out: the result, as written by one process: a folder or a file.
        overwrite: replace ``out``, if aitk wrote it.
        trust: for predictions: also open a run whose model contains a program.
        write: receives the lines if ``out`` is ``-``.
        progress: a function called with ``Progress`` objects.

    Raises:
        aitk.errors.UsageError: a part is given twice, or ``out`` cannot be written.
        aitk.errors.ArtifactError: a part is missing, damaged, or of another result.

    Example:
        >>> import aitk
        >>> for number in (1, 2):
        ...     part = aitk.prepare("sample_data/messages.csv", task="nlp.classify",
        ...                         out="data/messages", label_column="intent", part=f"{number}/2")
        >>> parts = ["data/messages.1-of-2", "data/messages.2-of-2"]
        >>> joined = aitk.join(parts, out="data/messages")
        >>> joined.facts["rows"]["test"]
        58
    """
    from aitk.stages.parts.join import join as stage

    return stage(
        [Path(part) for part in as_list(parts)],
        os.fspath(out),
        overwrite=overwrite,
        trust=trust,
        write=write or no_stdout,
        reporter=reporter_for(progress),
    )


def parallel_of(options: ParallelOptions) -> PartNumber | None:
    """The requested part, if any.

    Raises:
        UsageError: the options conflict.
    """
    from aitk.core.artifacts.parts import parse_part
    from aitk.core.contract.errors import UsageError

    if options.part is not None and options.workers is not None:
        raise UsageError("needs a single process", where="--part", hint="Omit --workers or --part")
    if options.engine is not None and (options.workers is None or options.workers < 2):
        raise UsageError("needs a number of workers", where="--engine", hint="Add --workers N")
    return parse_part(options.part) if options.part is not None else None


def no_stdout(text: str) -> None:
    """Refuse to write lines without a receiver."""
    from aitk.core.contract.errors import UsageError

    raise UsageError("writes to stdout", where="out='-'", hint="Pass a function as write=")


def as_list(sources: PathLike | Sequence[PathLike]) -> Sequence[PathLike]:
    """One source or several, as several."""
    return [sources] if isinstance(sources, str | os.PathLike) else sources
