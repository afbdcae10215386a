"""A run as a stage uses it: its task, assets, settings and model, checked against each other.

Whatever does not fit together is an ``ArtifactError``: a run may be damaged, be made by hand, or
hold the parts of two others.
"""

from __future__ import annotations

import contextlib
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
from aitk.core.contract.task import Task
from aitk.core.inference.predictors import Predictor, open_predictor, run_errors
from aitk.core.runtime.startup import start_runtime

#: What values of a wrong kind or size raise where they are first used.
WRONG_VALUE = (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    OSError,
)
#: The end of a hint, before ``task`` or ``model``.
WROTE_IT = "version of aitk that wrote it, or install the package that declares the"


@contextlib.contextmanager
def damage_at(path: Path) -> Iterator[None]:
    """Turn what goes wrong with the values of an artifact into an ``ArtifactError``."""
    try:
        yield
    except (DataError, UsageError) as error:
        raise ArtifactError(error.what, where=error.where or str(path)) from error
    except WRONG_VALUE as error:
        raise ArtifactError(
            f"is damaged ({type(error).__name__}: {error})", where=str(path)
        ) from error


def open_task(made: Run | PreparedData, load_task: Callable[[str], Task]) -> Task:
    """The task that a run or prepared data belongs to, for rows that are read as theirs were."""
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
    """What a run needs besides its weights."""
    with damage_at(run.assets):
        return task.load_assets(run.assets)


def open_reading(task: Task, run: Run, given: Mapping[str, Any] | None = None) -> Any:
    """The options that its data was read with.

    Args:
        given: those that are different for the files at hand.

    Raises:
        ArtifactError: the run's own are damaged.
        UsageError: the task has no such option, or not with such a value.
    """
    with damage_at(run.folder / "run.json"):
        own: Any = resolve(task.reading, run.reading)
    return resolve(task.reading, as_dict(own), given, where="reading option") if given else own


def open_spec(task: Task, run: Run) -> AnyModel:
    """The specification of its model."""
    if run.model not in task.models:
        raise ArtifactError(
            f"its model {run.model!r} is none of {run.task}",
            where=str(run.folder / "run.json"),
            hint=f"Use the {WROTE_IT} model",
        )
    return task.models[run.model]


def open_settings(task: Task, run: Run) -> Any:
    """The settings of its model."""
    spec = open_spec(task, run)
    with damage_at(run.folder / "run.json"):
        return resolve(spec.settings, run.settings)


def open_model(task: Task, run: Run, assets: Any, *, reporter: Reporter | None = None) -> Predictor:
    """Its model, whose inputs and outputs must be those of the task and of the assets.

    Args:
        reporter: is told that Keras is being started, where the model needs it.
    """
    spec = open_spec(task, run)
    predict, sizes = _open_arrays(spec, run), spec.output_sizes(assets)
    if predict is None:
        if reporter is not None:
            start_runtime(run, reporter)
        predict = open_predictor(run)
    errors = run_errors(run.format)

    def checked(inputs: Mapping[str, np.ndarray]) -> Any:
        try:
            outputs = predict(inputs)
        except errors as error:
            raise damaged(run.model_path, error) from error
        named = outputs if isinstance(outputs, Mapping) else {ONLY_OUTPUT: outputs}
        for name, size in sizes.items():
            found = named[name].shape[-1] if name in named and named[name].ndim else None
            if found != size:
                raise ArtifactError(
                    f"the model puts out {found} numbers where its assets want {size}",
                    where=str(run.folder),
                    hint="Its parts are of different runs",
                )
        return outputs

    return checked


def _open_arrays(spec: AnyModel, run: Run) -> Predictor | None:
    """A closed-form model in NumPy, where it can be had so."""
    if run.format != "keras" or not isinstance(spec, ClosedFormModel):
        return None
    with damage_at(run.model_path):
        layer = read_layer(run.model_path, BACKBONE)
        return None if layer is None else spec.open_arrays(layer)


def check_data(task: Task, data: PreparedData) -> None:
    """Raise an ``ArtifactError`` unless the rows hold what the task reads."""
    with damage_at(data.folder):
        wanted = set(task.features(data.summary))
    for split in data.splits:
        lacking = wanted - set(data.rows(split).fields)
        if lacking:
            raise ArtifactError(f"its rows lack {min(lacking)}", where=str(data.folder))
        return
