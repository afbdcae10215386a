"""``aitk.load``: a run and its methods."""

from __future__ import annotations

import functools
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from aitk.api.arguments import divide
from aitk.api.data import PathLike, as_list, no_stdout, parallel_of
from aitk.api.progress import Callback, reporter_for
from aitk.core.contract.outcome import Outcome
from aitk.core.contract.progress import Reporter

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts import run as artifacts
    from aitk.core.contract.rows import Refusal, Row
    from aitk.core.contract.task import Task
    from aitk.stages.session import Session

Record = Mapping[str, Any]
#: Rows of an iterable that are read and predicted together.
ROWS_AT_ONCE = 1024


class Run:
    """A trained model with everything needed to use, evaluate and reproduce it.

    Attributes:
        folder: its path.
        outcome: the report of the stage that made it; empty for a loaded run.
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        trust: bool = False,
        domain: str | None = None,
        outcome: Outcome | None = None,
    ):
        self.folder = Path(folder)
        self.outcome = outcome or Outcome(facts={})
        self._trust = trust
        self._domain = domain
        self._sessions: dict[str, Session] = {}

    @functools.cached_property
    def _run(self) -> artifacts.Run:
        from aitk.core.artifacts.run import load_run

        return load_run(self.folder, domain=self._domain, trust=self._trust)

    @functools.cached_property
    def _task(self) -> Task[Any]:
        from aitk.core.artifacts.opening import open_task
        from aitk.registry import load_task

        return open_task(self._run, load_task)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, task={self.task!r}, model={self.model_name!r})"

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def task(self) -> str:
        """The full name of its task, such as ``nlp.classify``."""
        return self._run.task

    @property
    def model_name(self) -> str:
        """The name of its model, among those of the task."""
        return self._run.model

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels, in the order of its outputs; empty if it has none."""
        from aitk.core.artifacts.opening import open_assets

        return tuple(getattr(open_assets(self._task, self._run), "labels", ()))

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Its evaluations by name, each with ``metrics``, ``baselines`` and ``details``."""
        return self._run.metrics

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Its record of training: ``run.json``."""
        return self._run.manifest

    @functools.cached_property
    def model(self) -> keras.Model:
        """The Keras model.

        Raises:
            aitk.errors.UsageError: the format of the run has no Keras model.
        """
        from aitk.core.artifacts.keras_file import load_keras
        from aitk.core.contract.errors import UsageError
        from aitk.core.runtime.silence import silence

        if self._run.format != "keras":
            raise UsageError(
                f"a run in the format {self._run.format} has no Keras model",
                where=str(self.folder),
                hint="Load the uncompressed run",
            )
        silence()
        return load_keras(self._run.model_path)

    @overload
    def predict(self, inputs: Sequence[Record], **options: Any) -> list[dict[str, Any]]: ...

    @overload
    def predict(
        self, inputs: PathLike | Iterable[Record], **options: Any
    ) -> Iterator[dict[str, Any]]: ...

    def predict(
        self, inputs: Any, *, progress: Callback | Reporter | None = None, **options: Any
    ) -> list[dict[str, Any]] | Iterator[dict[str, Any]]:
        """Predict rows: the columns of each, then its prediction, as ``aitk DOMAIN predict``.

        Args:
            inputs: a list of rows (dicts of columns, as in a JSON line of a file), any other
                iterable of them, or a file or folder.
            progress: a function called with ``Progress`` objects.
            options: ``top_k``, ``batch_size``, ``ensemble_with``, the task's own predict options,
                and reading options such as ``text_column``.

        Returns:
            A list for a list; otherwise an iterator that reads and predicts as it is consumed. A
            row that cannot be read becomes ``{"line": 17, "error": "..."}``.

        Raises:
            aitk.errors.UsageError: an option is unknown or invalid.
            aitk.errors.ArtifactError: the run is damaged.
        """
        lines = self._predict(inputs, options, reporter_for(progress))
        return (
            list(lines) if isinstance(inputs, Sequence) and not isinstance(inputs, str) else lines
        )

    def predict_to(
        self,
        inputs: PathLike | Sequence[PathLike],
        *,
        out: PathLike,
        overwrite: bool = False,
        write: Callable[[str], None] | None = None,
        workers: int | None = None,
        part: str | None = None,
        engine: str | None = None,
        progress: Callback | Reporter | None = None,
        **options: Any,
    ) -> Outcome:
        """Predict files into a file, in constant memory; ``resume=True`` continues one.

        Args:
            inputs: files or folders, or ``-`` for stdin.
            out: a ``.jsonl`` or ``.csv`` file or one of the task's formats.
            write: receives the lines if ``out`` is ``-``.
            workers: number of processes; the file is byte-identical to that of one.
            part: predict only part K of N, ``"K/N"``, into ``OUT.K-of-N``; see
                ``aitk.join``.
            engine: address of a Ray cluster for the workers.
            options: options of ``aitk DOMAIN predict``.
        """
        from aitk.core.contract.options import resolve
        from aitk.stages.options import ParallelOptions, PredictOptions

        parallel = {"workers": workers, "part": part, "engine": engine}
        number = parallel_of(resolve(ParallelOptions, parallel))
        general, own, located = divide(
            options, PredictOptions, self._task.predict_options, self._task.reading
        )
        named = [os.fspath(source) for source in as_list(inputs)]
        shared: dict[str, Any] = {
            "out": os.fspath(out),
            "domain": self._domain or self.task.partition(".")[0],
            "options": resolve(PredictOptions, general),
            "predict_options": own,
            "located": located,
            "overwrite": overwrite,
            "trust": self._trust,
            "reporter": reporter_for(progress),
        }
        if number is not None:
            from aitk.stages.parts.predicted import predict_part

            return predict_part(self.folder, named, number, **shared)
        shared["write"] = write or no_stdout
        if workers is not None and workers > 1:
            from aitk.stages.parts.predicted import predict_with_workers

            return predict_with_workers(
                self.folder, named, workers=workers, engine=engine, **shared
            )
        from aitk.stages.predict import predict as stage

        return stage(self.folder, named, **shared)

    def evaluate(
        self,
        data: PathLike | None = None,
        *,
        progress: Callback | Reporter | None = None,
        **options: Any,
    ) -> Outcome:
        """Score the run with 95% intervals; the result is stored in the run.

        Args:
            data: another prepared folder or a labelled file; by default the run's own data.
            options: options of ``aitk DOMAIN evaluate``, such as ``split="validation"``.

        Returns:
            ``facts["metrics"]`` has the scores, ``facts["comparison"]`` the baselines.
        """
        from aitk.core.contract.options import resolve
        from aitk.stages.evaluate import evaluate as stage
        from aitk.stages.options import EvaluateOptions

        given = dict(options) | ({"data": os.fspath(data)} if data is not None else {})
        general, own, reading = divide(
            given, EvaluateOptions, self._task.predict_options, self._task.reading
        )
        return stage(
            self.folder,
            options=resolve(EvaluateOptions, general),
            domain=self._domain,
            reading=reading,
            # The seed of the intervals is not that of a generator.
            predict_options={name: own[name] for name in own.keys() - general.keys()},
            trust=self._trust,
            reporter=reporter_for(progress),
        )

    def explain(
        self,
        inputs: PathLike | Iterable[Record],
        *,
        target: str | None = None,
        rows: int = 20,
        neighbours: int = 0,
        progress: Callback | Reporter | None = None,
        **reading: Any,
    ) -> list[dict[str, Any]]:
        """Attribute the predictions of the first rows to the parts of each row.

        Args:
            inputs: rows, or a file or folder.
            target: explain this label instead of the predicted one.
            rows: number of rows.
            neighbours: number of nearest training rows to find for each.

        Returns:
            For each row its ``prediction`` and its ``parts`` with weights, or ``pictures``.
        """
        from aitk.core.contract.rows import Row
        from aitk.stages.explain import explain_rows

        reporter = reporter_for(progress)
        (located,) = divide(reading, self._task.reading)
        with self._read(inputs, located, reporter) as items:
            readable = (item for item in items if isinstance(item, Row))
            taken = list(itertools.islice(readable, rows))
        return explain_rows(
            self._run, self._task, taken, target=target, neighbours=neighbours, reporter=reporter
        )

    def explain_to(
        self,
        inputs: PathLike | Sequence[PathLike],
        *,
        out: PathLike,
        overwrite: bool = False,
        progress: Callback | Reporter | None = None,
        **options: Any,
    ) -> Outcome:
        """Explain the first rows of files in a folder, with a page that opens offline.

        Args:
            options: options of ``aitk DOMAIN explain``.
        """
        from aitk.core.contract.options import resolve
        from aitk.stages.explain import explain as stage
        from aitk.stages.options import ExplainOptions

        general, located = divide(options, ExplainOptions, self._task.reading)
        return stage(
            self.folder,
            [os.fspath(source) for source in as_list(inputs)],
            Path(out),
            options=resolve(ExplainOptions, general),
            located=located,
            overwrite=overwrite,
            trust=self._trust,
            domain=self._domain,
            reporter=reporter_for(progress),
        )

    def _predict(
        self, inputs: Any, given: Mapping[str, Any], reporter: Reporter
    ) -> Iterator[dict[str, Any]]:
        from aitk.core.contract.options import resolve
        from aitk.core.contract.rows import Refusal
        from aitk.core.inference.prediction import default_window
        from aitk.stages.options import PredictOptions
        from aitk.stages.request import windows
        from aitk.stages.session import merge, refusal

        general, own, located = divide(
            given, PredictOptions, self._task.predict_options, self._task.reading
        )
        options = resolve(PredictOptions, general)
        session = self._session(options, own, reporter)
        with self._read(inputs, located, reporter) as items:
            parts = windows(items, options.batch_size, max_batches=default_window(self._task))
            for window, _ in parts:
                found = session.predict(window, batch_size=options.batch_size, top_k=options.top_k)
                for item, prediction in zip(window, found, strict=True):
                    if isinstance(item, Refusal):
                        yield refusal(item, several=False)
                    else:
                        yield merge(item, prediction or {})

    def _session(self, options: Any, own: Mapping[str, Any], reporter: Reporter) -> Session:
        """The loaded model, cached for the next call with the same options."""
        from aitk.core.artifacts.run import load_run
        from aitk.core.contract.options import resolve
        from aitk.core.runtime.silence import silence
        from aitk.stages.session import open_session

        chosen: Any = resolve(self._task.predict_options, own)
        key = repr((chosen, options.ensemble_with, options.ensemble_weight))
        if key not in self._sessions:
            silence()
            second = options.ensemble_with
            self._sessions[key] = open_session(
                self._run,
                self._task,
                predict_options=chosen,
                second=load_run(second, trust=self._trust) if second is not None else None,
                weight=options.ensemble_weight,
                trust=self._trust,
                reporter=reporter,
            )
        return self._sessions[key]

    def _read(self, inputs: Any, located: Mapping[str, Any], reporter: Reporter) -> _Items:
        from aitk.core.artifacts.opening import open_reading

        reading = open_reading(self._task, self._run, located)

        def read(source: str) -> Iterator[Row | Refusal]:
            return self._task.read([source], reading, labelled=False, note=reporter.note)

        return _Items(inputs, read, names_files=getattr(self._task, "content", "text") != "text")


class _Items:
    """The rows of a file, or those of an iterable, read through temporary JSON lines."""

    def __init__(
        self, inputs: Any, read: Callable[[str], Iterator[Row | Refusal]], *, names_files: bool
    ):
        self._inputs, self._read, self._names_files = inputs, read, names_files
        self._folder = tempfile.TemporaryDirectory(prefix="aitk-rows-")

    def __enter__(self) -> Iterator[Row | Refusal]:
        if isinstance(self._inputs, str | os.PathLike):
            return self._read(os.fspath(self._inputs))
        return self._records()

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def _records(self) -> Iterator[Row | Refusal]:
        path = Path(self._folder.name) / "rows.jsonl"
        records = iter(self._inputs)
        while taken := list(itertools.islice(records, ROWS_AT_ONCE)):
            with path.open("w", encoding="utf-8") as file:
                for record in taken:
                    file.write(json.dumps(self._located(record), ensure_ascii=False) + "\n")
            yield from self._read(str(path))

    def _located(self, record: Record) -> dict[str, Any]:
        """A row whose file names are relative to the working directory, not the temporary file."""
        if not self._names_files:
            return dict(record)
        return {
            name: os.path.abspath(value)
            if isinstance(value, str | os.PathLike) and os.path.isfile(value)
            else value
            for name, value in record.items()
        }


def load(path: PathLike, *, trust: bool = False) -> Run:
    """Open a run.

    Args:
        path: its folder.
        trust: also execute a model that contains a program (``saved_model``).

    Raises:
        aitk.errors.ArtifactError: the run is missing or damaged.

    Example:
        >>> import aitk
        >>> run = aitk.load("runs/messages")
        >>> [row["prediction"] for row in run.predict([{"text": "where is my parcel"}])]
        ['delivery']
    """
    run = Run(path, trust=trust)
    run.task  # noqa: B018  so that a damaged run is refused here
    return run
