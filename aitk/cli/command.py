"""Converts a plain function to a command.

Parameters annotated with an options dataclass become flags, which take precedence over
``--config``; the function receives the resolved dataclass. ``domain`` and ``reporter`` are passed
in; ``data``, ``out`` and ``overwrite`` need only a plain type. Every command has ``--json`` and
``--quiet``. A list is given with commas or by repeating its flag; any other flag may occur only
once.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from aitk.cli.config import stage_config
from aitk.cli.failures import RESUME
from aitk.cli.options import BY_NAME, SET, Group, Settings, group, keyword, settings_of
from aitk.cli.output import Output
from aitk.cli.repeats import refuse_repeats
from aitk.cli.surroundings import check_current_folder, own_temporary_folder
from aitk.core.contract.errors import Interrupted
from aitk.core.contract.options import split_assignments, split_list
from aitk.core.contract.outcome import Outcome
from aitk.stages.tools.chain import examples

#: Help is indented by two, for a terminal of 80 columns.
EXAMPLE_WIDTH = 75

JSON = Annotated[bool, typer.Option("--json", help="print the result as one JSON object")]
QUIET = Annotated[bool, typer.Option("--quiet", help="no progress and no notes")]
CONFIG = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file of options, or another run's run.json; flags override it",
        show_default=False,
    ),
]


def as_command(
    function: Callable[..., Outcome], *, domain: str | None = None, arguments: Sequence[str] = ()
) -> Callable[..., int]:
    """Make the function that Typer reads flags from; it returns the exit code.

    Args:
        function: has its help in its docstring, where ``{stage}`` is replaced by an example.
        domain: its domain. Without one, its outcome is the output of the command, on stdout.
        arguments: the command line, to find a flag that is given twice.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    handed = {"reporter"} | ({"domain"} if domain else set())
    groups: dict[str, Group] = {}
    flags: dict[str, inspect.Parameter] = {}
    keyed: dict[str, bool] = {}
    plain: list[inspect.Parameter] = []
    common: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in handed:
            continue
        hint = BY_NAME.get(name, hints[name]) if hints[name] in (Path, bool) else hints[name]
        if found := group(hint, domain):
            groups[name] = found
            for field in found.fields:
                flags.setdefault(field.name, found.flag(field))
                keyed.setdefault(field.name, field.keyed)
        if hint == Settings:
            common.append(keyword(name, SET, None))
        elif not found:
            plain.append(keyword(name, hint, parameter.default))
    if flags:
        common.append(keyword("config", CONFIG, None))
    common += [keyword("json", JSON, False), keyword("quiet", QUIET, False)]
    parameters = [*plain, *flags.values(), *common]
    resumable = any(item.name == "resume" for item in parameters)

    def command(**values: Any) -> int:
        check_current_folder()
        refuse_repeats(arguments, parameters)
        output = Output(as_json=values.pop("json"), quiet=values.pop("quiet"), is_data=not domain)
        path = values.pop("config", None)
        given = {name: values.pop(name) for name in flags}
        given = {
            name: [entry for text in value for entry in split_list(text, keyed=keyed[name])]
            if isinstance(value, list)
            else value
            for name, value in given.items()
            if value not in (None, [])
        }
        sets = "settings" in values
        config = stage_config(path, function.__name__, flags, takes_settings=sets) if path else {}
        if sets:
            assigned = split_assignments(values["settings"] or [])
            values["settings"] = settings_of(groups["settings"], config, given, assigned)
        for name, found in groups.items():
            if name != "settings":
                values[name] = found.resolved(config, given)
        supplied = {"domain": domain, "reporter": output}
        values |= {name: supplied[name] for name in handed if name in hints}
        return _run(function, values, output, hint=RESUME if resumable else None)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    command.__name__ = function.__name__
    command.__doc__ = _help(function, domain)
    return command


def _run(
    function: Callable[..., Outcome], values: dict[str, Any], output: Output, *, hint: str | None
) -> int:
    """Call a command and show its outcome.

    Args:
        hint: hint for an interruption.
    """
    # Not needed for help.
    from aitk.core.runtime.silence import silence
    from aitk.core.runtime.speed import tune_process

    silence()
    tune_process()
    try:
        with own_temporary_folder():
            outcome = function(**values)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", hint=hint) from error
    finally:
        output.close()
    output.show(outcome)
    return outcome.exit_code


def _help(function: Callable[..., Any], domain: str | None) -> str:
    """The docstring with its example for the domain; indented lines are preserved."""
    text = inspect.getdoc(function) or ""
    if domain:
        text = text.format_map(examples(domain))
    paragraphs = text.split("\n\n")
    # Typer rewraps paragraphs, except those that begin with a backspace character.
    return "\n\n".join(
        f"\b\n{continued(paragraph)}" if paragraph.startswith("    ") else paragraph
        for paragraph in paragraphs
    )


def continued(command: str) -> str:
    """A command on several lines if needed, split before options where possible."""
    lines, indent = [command], " " * 8
    while len(last := lines[-1]) > EXAMPLE_WIDTH:
        at = last.rfind(" --", len(indent), EXAMPLE_WIDTH)
        at = at if at > 0 else last.rfind(" ", len(indent), EXAMPLE_WIDTH)
        if at < 0:
            break
        lines[-1:] = [f"{last[:at]} \\", indent + last[at + 1 :]]
    return "\n".join(lines)
