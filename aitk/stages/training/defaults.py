"""What a training needs before it starts: its model, options and identity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from aitk.core.artifacts.data import PreparedData
from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.options import as_dict, known_names, unknown_name
from aitk.core.contract.task import Task
from aitk.core.io.files import fingerprint
from aitk.stages.options import TrainingOptions

#: Default maximum number of epochs.
MAX_EPOCHS = 30
MIN_PATIENCE = 3
#: For settings without ``default_steps`` or ``default_batch_size``.
STEPS = 500
BATCH_SIZE = 32
#: Minimum number of steps per epoch while batches grow with the data.
MIN_STEPS = 200
#: Short epochs carry little information: patience lasts for at least so many steps.
MIN_PATIENCE_STEPS = 50
#: Options that may change when an interrupted training is resumed.
NOT_IDENTITY = ("save_minutes", "max_minutes", "devices")


def choose_model(task: Task, options: TrainingOptions) -> str:
    """The model of the options, or the task's first; ``--from`` may determine another."""
    if options.model is not None and options.model not in task.models:
        raise unknown_name(options.model, task.models, what="model")
    return options.model or next(iter(task.models))


def check_settings(task: Task, model: str, settings: Mapping[str, Any]) -> None:
    """Refuse a setting that no model of the task has, before TensorFlow starts."""
    known = known_names(*(spec.settings for spec in task.models.values()))
    for key in settings:
        if key not in known:
            raise unknown_name(key, known_names(task.models[model].settings), what="setting")


def with_defaults(
    options: TrainingOptions, settings: Any, *, rows: int, learning_rate: float | None = None
) -> TrainingOptions:
    """Fill in the model's defaults for values that the user did not set.

    Args:
        settings: class or instance; its ``default_epochs`` apply to data large enough for
            ``default_steps``. Small data gets more epochs.
        rows: examples of an epoch.
        learning_rate: the model's default for this data; None for the default of its settings.
    """
    batch_size = options.batch_size or fitting_batch_size(settings, rows)
    steps_per_epoch = math.ceil(rows / batch_size)
    enough = min(MAX_EPOCHS, math.ceil(getattr(settings, "default_steps", STEPS) / steps_per_epoch))
    epochs = options.epochs
    least = max(MIN_PATIENCE, math.ceil(MIN_PATIENCE_STEPS / steps_per_epoch))
    if epochs is None:
        epochs = max(settings.default_epochs, enough)
    if learning_rate is None:
        learning_rate = settings.default_learning_rate
    return dataclasses.replace(
        options,
        epochs=epochs,
        batch_size=batch_size,
        patience=options.patience or max(least, math.ceil(epochs / 4)),
        learning_rate=learning_rate if options.learning_rate is None else options.learning_rate,
    )


def batch_size_of(options: TrainingOptions, settings: Any) -> int:
    """Batch size: from the options, the model's default, or ``BATCH_SIZE``."""
    default: int = getattr(settings, "default_batch_size", BATCH_SIZE)
    return options.batch_size or default


def fitting_batch_size(settings: Any, rows: int) -> int:
    """The model's default, or twice that and so on up to its ``max_batch_size``, as long as an
    epoch has ``MIN_STEPS`` steps."""
    size: int = getattr(settings, "default_batch_size", BATCH_SIZE)
    while 2 * size <= getattr(settings, "max_batch_size", size) and rows >= 2 * size * MIN_STEPS:
        size *= 2
    return size


def identity(data: PreparedData, model: str, options: TrainingOptions, settings: Any) -> str:
    """Identifies everything that determines the weights."""
    return fingerprint(
        {
            "data": data.fingerprint,
            "model": model,
            "options": deciding(options),
            "settings": as_dict(settings),
        }
    )


def deciding(options: TrainingOptions) -> dict[str, Any]:
    """The options that determine the weights."""
    return {key: value for key, value in as_dict(options).items() if key not in NOT_IDENTITY}


def require_task(data: PreparedData, domain: str, *, objective: bool) -> str:
    """The full name of the task to train on this data.

    Raises:
        ArtifactError: the data belongs to another domain, or the other kind of task.
    """
    from aitk.registry import TASKS

    name = data.task
    if not name.startswith(f"{domain}."):
        raise ArtifactError(f"contains {name} rows, not {domain} rows", where=str(data.folder))
    if name not in TASKS:
        raise ArtifactError(
            f"contains rows of an unknown task {name!r}",
            where=str(data.folder),
            hint="Use the version of aitk that wrote it",
        )
    if TASKS[name].objective and not objective:
        raise ArtifactError(
            f"contains {name} rows, which are for pretraining",
            where=str(data.folder),
            hint=f"Use: aitk {domain} pretrain {data.folder} --out RUN",
        )
    return name
