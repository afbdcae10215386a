"""Opens a run for a stage: task, assets, settings and model, checked for consistency.

Any inconsistency is an ``ArtifactError``: a run may be damaged, made by hand, or combined from two
runs.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.artifacts.data import PreparedData
from aitk.core.artifacts.keras_arrays import read_layer
from aitk.core.artifacts.keras_file import damaged
from aitk.core.artifacts.run import Run
from aitk.core.contract.capabilities import DependsOnReading
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.model_spec import BACKBONE, ONLY_OUTPUT, AnyModel, ClosedFormModel
from aitk.core.contract.options import as_dict, resolve
from aitk.core.contract.progress import Reporter
from aitk.core.contract.task import Assets, Task
from aitk.core.decoding.incremental import CheckedDecoder, Decoder
from aitk.core.inference.predictors import Predictor, open_keras, open_predictor, run_errors
from aitk.core.runtime.startup import start_runtime

#: Errors that values of a wrong type or size raise on first use.
WRONG_VALUE = (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    OSError,
)
#: Part of a hint, before ``task`` or ``model``.
WROTE_IT = "version of aitk that wrote it, or install the package that declares the"


@contextlib.contextmanager
def damage_at(path: Path) -> Iterator[None]:
    """Convert errors from invalid artifact values to ``ArtifactError``."""
    try:
        yield
    except (DataError, UsageError) as error:
        raise ArtifactError(error.what, where=error.where or str(path)) from error
    except WRONG_VALUE as error:
        raise ArtifactError(
            f"is damaged ({type(error).__name__}: {error})", where=str(path)
        ) from error


def open_task(made: Run | PreparedData, load_task: Callable[[str], Task]) -> Task:
    """The task of a run or prepared data, for rows read with the same options."""
    try:
        task = load_task(made.task)
    except UsageError as error:
        raise ArtifactError(
            error.what, where=str(made.folder), hint=f"Use the {WROTE_IT} task"
        ) from error
    if isinstance(task, DependsOnReading):
        with damage_at(made.folder):
            reading: Any = resolve(task.reading, made.reading)
        return task.for_reading(reading)
    return task


def open_assets(task: Task, run: Run) -> Any:
    """The assets of a run."""
    with damage_at(run.assets):
        return task.load_assets(run.assets)


def open_reading(task: Task, run: Run, given: Mapping[str, Any] | None = None) -> Any:
    """The options with which its data was read.

    Args:
        given: options that differ for the current files.

    Raises:
        ArtifactError: the run's options are damaged.
        UsageError: an option is unknown, or its value is invalid.
    """
    with damage_at(run.folder / "run.json"):
        own: Any = resolve(task.reading, run.reading)
    return resolve(task.reading, as_dict(own), given, where="reading option") if given else own


def open_spec(task: Task, run: Run) -> AnyModel:
    """The specification of a run's model."""
    if run.model not in task.models:
        raise ArtifactError(
            f"its model {run.model!r} is not a model of {run.task}",
            where=str(run.folder / "run.json"),
            hint=f"Use the {WROTE_IT} model",
        )
    return task.models[run.model]


def open_settings(task: Task, run: Run) -> Any:
    """The settings of a run's model."""
    spec = open_spec(task, run)
    with damage_at(run.folder / "run.json"):
        return resolve(spec.settings, run.settings)


def open_model(
    task: Task, run: Run, assets: Assets, *, reporter: Reporter | None = None
) -> Predictor:
    """A run's model, whose inputs and outputs must match the task and the assets.

    Args:
        reporter: reports that Keras is starting, if the model needs it.
    """
    spec = open_spec(task, run)
    sizes = spec.output_sizes(assets)
    predict = _open_arrays(spec, run.model_path) if run.format == "keras" else None
    if predict is None:
        if reporter is not None:
            start_runtime(run, reporter)
        predict = open_predictor(run)
    return _Checked(predict, run, sizes)


class _Checked:
    """A predictor whose errors and whose outputs of a wrong size are damage of its run."""

    def __init__(self, predict: Predictor, run: Run, sizes: Mapping[str, int]):
        self._predict, self._run, self._sizes = predict, run, sizes
        self._errors = run_errors(run.format)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Any:
        with self._damage():
            outputs = self._predict(inputs)
        named = outputs if isinstance(outputs, Mapping) else {ONLY_OUTPUT: outputs}
        for name, size in self._sizes.items():
            found = named[name].shape[-1] if name in named and named[name].ndim else None
            if found != size:
                raise ArtifactError(
                    f"the model has {found} outputs, but its assets need {size}",
                    where=str(self._run.folder),
                    hint="Its parts come from different runs",
                )
        return outputs

    @functools.cached_property
    def decoder(self) -> Decoder | None:
        """The token-by-token decoder of the predictor, if it has one."""
        with self._damage():
            decoder = getattr(self._predict, "decoder", None)
        return None if decoder is None else CheckedDecoder(decoder, self._damage)

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise damaged(self._run.model_path, error) from error


def open_file(spec: AnyModel, path: Path) -> Predictor:
    """A ``.keras`` file of a model, in NumPy if available."""
    return _open_arrays(spec, path) or open_keras(path)


def _open_arrays(spec: AnyModel, path: Path) -> Predictor | None:
    """A ``.keras`` file in NumPy, if available."""
    with damage_at(path):
        if not isinstance(spec, ClosedFormModel):
            return spec.open_arrays(path)
        layer = read_layer(path, BACKBONE)
        return None if layer is None else spec.open_arrays(layer)


def check_data(task: Task, data: PreparedData) -> None:
    """Raise ``ArtifactError`` unless the rows have the fields that the task reads."""
    with damage_at(data.folder):
        wanted = set(task.features(data.summary))
    for split in data.splits:
        lacking = wanted - set(data.rows(split).fields)
        if lacking:
            raise ArtifactError(f"its rows lack {min(lacking)}", where=str(data.folder))
        return
