"""From a command's signature to Typer's: each field of an options dataclass becomes a flag.

A command is a plain function. Its parameters annotated with an options dataclass are
expanded, ``--config`` is merged below the flags given, and the function gets the resolved
dataclass. ``domain`` and ``reporter`` are handed in; every command also takes ``--json`` and
``--quiet``.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from aitk import tasks
from aitk.cli import STAGES
from aitk.cli.failures import RESUME
from aitk.cli.output import Output
from aitk.core.errors import Interrupted, UsageError
from aitk.core.options import Described, describe, read_config, resolve, split_assignments
from aitk.core.options import unknown_name as unknown
from aitk.core.outcome import Outcome
from aitk.stages.chain import examples

DataFolder = Annotated[Path, typer.Argument(metavar="DATA", help="a prepared data folder")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]
Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT", help="files, folders, or - for stdin")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="the folder to write")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace --out if it exists")]
Resume = Annotated[bool, typer.Option("--resume", help="go on where an interrupted one stopped")]
Settings = Annotated[Mapping[str, Any], "what --set assigns"]
Reading = Annotated[Mapping[str, Any], "how rows are read, whichever task is named"]

_SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="a setting of the model (see: aitk tasks); may be repeated",
        show_default=False,
    ),
]
_JSON = Annotated[bool, typer.Option("--json", help="print the result as one JSON object")]
_QUIET = Annotated[bool, typer.Option("--quiet", help="no progress and no notes")]
_CONFIG = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="a TOML file of options, or another run's run.json; flags win over it",
        show_default=False,
    ),
]


@dataclasses.dataclass(frozen=True)
class Without:
    """Leaves fields of an options dataclass out of a command: ``Annotated[X, Without(...)]``."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Group:
    """The options that one parameter of a command stands for."""

    options: type | None
    described: list[Described]


def as_command(
    function: Callable[..., Outcome], *, domain: str | None = None
) -> Callable[..., int]:
    """Turn a command function into the function that Typer reads its flags from."""
    hints = typing.get_type_hints(function, include_extras=True)
    groups: dict[str, _Group] = {}
    flags: dict[str, inspect.Parameter] = {}
    plain: list[inspect.Parameter] = []
    handed = {"domain": domain} if domain else {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("domain", "reporter") and not (name == "domain" and domain is None):
            continue
        group = _group(hints[name], domain)
        if hints[name] == Settings:
            plain.append(_keyword(name, _SET, None))
        elif group is None:
            plain.append(_keyword(name, hints[name], parameter.default))
        else:
            groups[name] = group
            for item in group.described:
                flags.setdefault(item.name, _flag(item))

    takes_resume = "resume" in flags or any(item.name == "resume" for item in plain)

    def command(**values: Any) -> int:
        output = Output(as_json=values.pop("json"), quiet=values.pop("quiet"), answer=not domain)
        given = {name: values.pop(name) for name in flags}
        given = {name: value for name, value in given.items() if value not in (None, [])}
        config = _config(values.pop("config", None), function.__name__, flags, "settings" in values)
        if "settings" in values:
            assigned = split_assignments(values["settings"] or [])
            values["settings"] = config.pop("set", {}) | assigned
        for name, group in groups.items():
            values[name] = _resolved(group, config, given)
        if "reporter" in hints:
            values["reporter"] = output
        from aitk.core.silence import silence  # what help never needs

        silence()
        try:
            outcome = function(**handed, **values)
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted", hint=RESUME if takes_resume else None) from error
        finally:
            output.close()
        output.show(outcome)
        return outcome.exit_code

    common = [_keyword("json", _JSON, False), _keyword("quiet", _QUIET, False)]
    if flags:
        common.insert(0, _keyword("config", _CONFIG, None))
    parameters = [*plain, *flags.values(), *common]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    command.__name__ = function.__name__
    command.__doc__ = _help(function, domain)
    return command


def reading_of(task: str, given: Mapping[str, Any]) -> Any:
    """The reading options of one task, refusing those that only its neighbours have."""
    options = tasks.load(tasks.TASKS[task].reading)
    own = {item.name for item in describe(options)}
    for name in given:
        if name not in own:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{task} has no such option", where=flag, hint="See: aitk tasks")
    return resolve(options, given)


def _group(hint: Any, domain: str | None) -> _Group | None:
    """What options a parameter stands for; None where it is a plain one."""
    if hint == Reading:
        readings = [tasks.load(tasks.TASKS[name].reading) for name in tasks.names(domain or "")]
        union = {item.name: item for options in reversed(readings) for item in describe(options)}
        return _Group(None, list(union.values()))
    left_out: tuple[str, ...] = ()
    if typing.get_origin(hint) is Annotated:
        hint, *marks = typing.get_args(hint)
        left_out = tuple(name for mark in marks if isinstance(mark, Without) for name in mark.names)
    if not dataclasses.is_dataclass(hint):
        return None
    options = typing.cast(type, hint)
    return _Group(options, [item for item in describe(options) if item.name not in left_out])


def _flag(item: Described) -> inspect.Parameter:
    """One optional flag; None, its default, means that it was not given."""
    told = item.help
    if item.default not in (None, [], "") and item.type is not bool:
        default = ",".join(map(str, item.default)) if item.repeated else item.default
        told += f"  [default: {default}]"
    kind: Any = list[str] if item.repeated else str
    declaration = item.flag
    metavar: str | None = "|".join(item.choices) or {int: "INT", float: "NUMBER"}.get(
        item.type, "TEXT"
    )
    if item.type is bool:
        kind, metavar = bool, None
        declaration = f"{item.flag}/--no-{item.flag[2:]}"
    option = typer.Option(declaration, help=told, metavar=metavar, show_default=False)
    return _keyword(item.name, Annotated[kind | None, option], None)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


def _config(
    path: Path | None, stage: str, known: Mapping[str, Any], takes_settings: bool
) -> dict[str, Any]:
    """The options that a config file gives one stage.

    A table named after a stage is for that stage alone, so that one file serves a project.
    """
    if path is None:
        return {}
    values = read_config(path)
    merged = {name: value for name, value in values.items() if name not in STAGES}
    own = values.get(stage, {})
    if not isinstance(own, dict):
        raise UsageError(f"{stage} is no table", where=str(path), hint=f"Write it as [{stage}]")
    merged |= own
    merged = {_field_name(name, known): value for name, value in merged.items()}
    if not takes_settings and path.suffix == ".json":
        merged.pop("set", None)
    for name in merged:
        if name not in known and not (name == "set" and takes_settings):
            error = unknown(name, [item.rstrip("_") for item in known], what=f"{stage} option")
            raise UsageError(error.what, where=str(path), hint=error.hint)
    return merged


def _field_name(name: str, known: Mapping[str, Any]) -> str:
    """``batch-size`` -> ``batch_size``; ``from`` -> ``from_``, a Python keyword."""
    name = name.replace("-", "_")
    return f"{name}_" if f"{name}_" in known else name


def _resolved(group: _Group, config: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    names = {item.name for item in group.described}
    below = {name: value for name, value in config.items() if name in names}
    above = {name: value for name, value in given.items() if name in names}
    if group.options is None:
        return below | above
    return resolve(group.options, below, above)


def _help(function: Callable[..., Any], domain: str | None) -> str:
    """The docstring with its example made for the domain, its indented lines kept as they are."""
    text = inspect.getdoc(function) or ""
    if domain:
        text = text.format_map(examples(domain))
    paragraphs = text.split("\n\n")
    # Typer fills paragraphs; one that begins with a backspace character it leaves alone.
    return "\n\n".join(
        f"\b\n{paragraph}" if paragraph.startswith("    ") else paragraph
        for paragraph in paragraphs
    )
