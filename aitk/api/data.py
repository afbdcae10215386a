"""``aitk.prepare``: the user's files as a folder of checked, split rows."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aitk.api.arguments import divide
from aitk.api.progress import Callback, reporter_for
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter

if TYPE_CHECKING:
    from aitk.core.artifacts.data import PreparedData

PathLike = str | os.PathLike[str]


class Data:
    """Prepared data: rows of a task, split for training and testing.

    Attributes:
        folder: where it lies.
        outcome: what ``prepare`` reported; empty for a folder that was prepared before.
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
        """How many rows each split has."""
        return self._data.splits

    @property
    def summary(self) -> Mapping[str, Any]:
        """Statistics of the rows: labels, counts, findings."""
        return self._data.summary

    def rows(self, split: str = "train") -> Sequence[Mapping[str, Any]]:
        """The rows of a split, read from disk as they are asked for."""
        return self._data.rows(split)


def prepare(
    sources: PathLike | Sequence[PathLike],
    *,
    task: str,
    out: PathLike,
    overwrite: bool = False,
    progress: Callback | Reporter | None = None,
    **options: Any,
) -> Data:
    """Read, clean, check and split the rows of files.

    Args:
        sources: a file, a folder or ``tfds:NAME``, or several.
        task: full name of the task (``aitk tasks`` lists them).
        out: the folder to write; whole or absent.
        overwrite: replace ``out``, if aitk wrote it.
        progress: a function that is called with ``Progress`` objects.
        options: of ``aitk DOMAIN prepare`` and of how the task's rows are read, such as
            ``split="80/10/10"`` or ``label_column="intent"``.

    Raises:
        aitk.errors.UsageError: an unknown task or option, or ``out`` cannot be written.
        aitk.errors.DataError: the files hold no usable rows.

    Example:
        >>> import aitk
        >>> data = aitk.prepare("sample_data/messages.csv", task="nlp.classify",
        ...                     out="data/messages", label_column="intent")
        >>> data.task
        'nlp.classify'
    """
    from aitk.core.contract.options import resolve
    from aitk.registry import TASKS, load, load_task
    from aitk.stages.options import PrepareOptions
    from aitk.stages.prepare import prepare as stage

    load_task(task)  # refuses an unknown name
    reading = load(TASKS[task].reading)
    general, own = divide(options, PrepareOptions, reading)
    outcome = stage(
        [os.fspath(source) for source in as_list(sources)],
        Path(out),
        task=task,
        options=resolve(PrepareOptions, general),
        reading=resolve(reading, own),
        overwrite=overwrite,
        reporter=reporter_for(progress),
    )
    return Data(out, outcome=outcome)


def as_list(sources: PathLike | Sequence[PathLike]) -> Sequence[PathLike]:
    """One source or several, as several."""
    return [sources] if isinstance(sources, str | os.PathLike) else sources
