"""The parameters that commands share, and the flags of an options dataclass."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from aitk import registry as tasks
from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import Described, describe, resolve
from aitk.stages.options import (
    ParallelOptions,
    PrepareOptions,
    RankOptions,
    TrainingOptions,
)

DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="a prepared data folder")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]
Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT", help="files, folders, or - for stdin")
]
OptionalInputs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[INPUT]", help="files, folders, or - for stdin", show_default=False),
]
#: The sections of a command's help.
OUTPUT, DATA, TRAINING, TRAINING_IN_DETAIL, MODEL, PREDICTIONS, PROCESSES = (
    "Output",
    "Your data",
    "Training",
    "Training in detail",
    "Model",
    "Predictions",
    "Several processes",
)
Out = Annotated[
    Path,
    typer.Option("--out", metavar="DIR", help="the folder to write", rich_help_panel=OUTPUT),
]
OptionalOut = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="the folder to write", rich_help_panel=OUTPUT,
        show_default=False,
    ),
]  # fmt: skip
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="replace --out, if aitk wrote it", rich_help_panel=OUTPUT),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="allow a saved_model, a program that can read and write your files"
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="continue an interrupted command", rich_help_panel=OUTPUT),
]
#: Parameters of a command that represent options of a task or model.
Settings = Annotated[Mapping[str, Any], "settings of the model: --set, and flags of their own"]
Reading = Annotated[Mapping[str, Any], "reading options"]
Located = Annotated[Mapping[str, Any], "reading options declared with ``locates``"]
TaskPredictOptions = Annotated[Mapping[str, Any], "predict options"]
ScoredPredictOptions = Annotated[Mapping[str, Any], "predict options declared with ``scored``"]
#: Command-line form of parameters with these names and plain types.
BY_NAME: dict[str, Any] = {"data": DataFolder, "out": Out, "overwrite": Overwrite}

SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="setting of the model (see: aitk tasks); repeatable",
        rich_help_panel=TRAINING,
        show_default=False,
    ),
]


PARTS: dict[type, str] = {
    PrepareOptions: DATA,
    TrainingOptions: TRAINING,
    ParallelOptions: PROCESSES,
    RankOptions: PROCESSES,
}


@dataclasses.dataclass(frozen=True)
class Without:
    """Excludes fields of an options dataclass from a command: ``Annotated[X, Without(...)]``."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Group:
    """The flags of one parameter of a command.

    Attributes:
        options: the dataclass of the fields; None if that depends on the task.
        title: section of the help.
    """

    options: type | None
    fields: list[Described]
    title: str | None = None

    def flag(self, item: Described) -> inspect.Parameter:
        """The optional flag of a field; rare training options have their own section."""
        in_detail = item.rare and self.title == TRAINING
        return flag(item, title=TRAINING_IN_DETAIL if in_detail else self.title)

    def resolved(self, config: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
        """The options dataclass, or its equivalent; flags override the config file."""
        names = {field.name for field in self.fields}
        below = {name: value for name, value in config.items() if name in names}
        above = {name: value for name, value in given.items() if name in names}
        return resolve(self.options, below, above) if self.options else below | above


def check_reading(task: str, given: Mapping[str, Any]) -> None:
    """Refuse a reading option of the domain that the task does not have.

    Raises:
        UsageError: the task has no such option.
    """
    own = {item.name for item in describe(tasks.load(tasks.TASKS[task].reading))}
    for name in given:
        if name not in own:
            raise UsageError(
                f"{task} has no such option",
                where="--" + name.replace("_", "-"),
                hint=f"See: aitk tasks {task}",
            )


def settings_of(
    own: Group, config: Mapping[str, Any], given: Mapping[str, Any], assigned: Mapping[str, str]
) -> dict[str, Any]:
    """The model's settings: ``--set`` and the flags, which override the config file.

    Args:
        own: settings with their own flags.
        config: options of the config file, its settings under ``set``.
        given: the given flags.
        assigned: assignments of ``--set``.

    Raises:
        UsageError: the command line, or the file, sets one setting in both ways.
    """
    below, above, in_file = own.resolved(config, {}), own.resolved({}, given), config.get("set", {})
    twice = (above.keys() & assigned.keys()) | (below.keys() & in_file.keys())
    if twice:
        name = min(twice)
        raise UsageError(
            f"{name} is set twice",
            where="--" + name.replace("_", "-"),
            hint="Use one of the two",
        )
    return in_file | below | assigned | above


def group(hint: Any, domain: str | None) -> Group | None:
    """The options of a parameter; None for a plain one."""
    if hint in (Reading, Located, TaskPredictOptions, ScoredPredictOptions, Settings):
        rows = [tasks.TASKS[name] for name in tasks.names(domain or "")]
        read = {Reading: "reading", Located: "reading", Settings: "flags"}
        paths = dict.fromkeys(getattr(row, read.get(hint, "predict_options")) for row in rows)
        known = [tasks.load(path) for path in paths if path]
        union = {item.name: item for options in reversed(known) for item in describe(options)}
        kept = {ScoredPredictOptions: "scored", Located: "locates"}.get(hint)
        fields = [item for item in union.values() if kept is None or getattr(item, kept)]
        title = {Reading: DATA, Located: DATA, Settings: MODEL}.get(hint, PREDICTIONS)
        return Group(None, fields, title)
    left_out: tuple[str, ...] = ()
    if typing.get_origin(hint) is Annotated:
        hint, *marks = typing.get_args(hint)
        left_out = tuple(name for mark in marks if isinstance(mark, Without) for name in mark.names)
    if not dataclasses.is_dataclass(hint):
        return None
    options = typing.cast(type, hint)
    fields = [item for item in describe(options) if item.name not in left_out]
    return Group(options, fields, PARTS.get(options))


def flag(item: Described, *, title: str | None = None) -> inspect.Parameter:
    """One optional flag; its default None means that it is not given.

    Args:
        title: section of the help.
    """
    text = item.help
    if item.default not in (None, [], "") and item.type is not bool:
        default = ",".join(map(str, item.default)) if item.repeated else item.default
        text += f"  [default: {default}]"
    kind: Any = list[str] if item.repeated else str
    declaration = item.flag
    metavar: str | None = "|".join(item.choices) or {int: "INT", float: "NUMBER"}.get(
        item.type, "TEXT"
    )
    if item.type is bool:
        kind, metavar = bool, None
        declaration = f"{item.flag}/--no-{item.flag[2:]}"
    option = typer.Option(
        declaration, help=text, metavar=metavar, show_default=False, rich_help_panel=title
    )
    return keyword(item.name, Annotated[kind | None, option], None)


def keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """A parameter in the form that Typer reads."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )
