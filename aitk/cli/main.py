"""``aitk``: finds and runs the command, and converts errors to a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from aitk import __version__
from aitk.cli import GENERAL, STAGES
from aitk.cli.command import as_command
from aitk.cli.failures import as_failure
from aitk.cli.grouped import GroupedCommand, LightGroup
from aitk.cli.output import Output
from aitk.cli.surroundings import open_streams
from aitk.core.contract.errors import EXIT_CODES
from aitk.core.contract.outcome import Outcome
from aitk.core.runtime import interrupts
from aitk.core.runtime.silence import debugging
from aitk.registry import COMMANDS, DOMAINS, load

#: Variable in which Typer's zsh and fish scripts pass the words of a line to complete.
ZSH_WORDS = "_TYPER_COMPLETE_ARGS"
OVERVIEW = """
From raw files to a small, measured, usable model.

    aitk DOMAIN STAGE INPUT... --out DIR [options]

Each stage reads the folder of the previous one; --help on any stage shows an
example. Data goes to stdout, messages go to stderr.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    open_streams()
    quiet = "--quiet" in arguments
    try:
        with interrupts.listening(None if quiet else Output().stopping):
            code = build(arguments)(args=arguments, prog_name="aitk", standalone_mode=False)
        if code == 130:  # Typer's exit code for Ctrl-C before a command starts
            raise KeyboardInterrupt
        Output().flush()
        return code or 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the outermost edge
        if debugging():
            traceback.print_exc()
        failure = as_failure(error)
        Output(as_json="--json" in arguments).fail(failure)
        return failure.exit_code


def build(arguments: Sequence[str]) -> typer.Typer:
    """The app with its commands; only the one in the arguments has its flags."""
    app = _group(OVERVIEW, epilog=_exit_codes(), add_completion=True)
    app.callback(invoke_without_command=True)(_overview)
    # A shell passes the words to complete in the environment.
    words = arguments or os.environ.get("COMP_WORDS", os.environ.get(ZSH_WORDS, "")).split()[1:]
    named = [word for word in words if not word.startswith("-")][:2]
    for domain, summary in DOMAINS.items():
        group = _group(f"{summary[0].upper()}{summary[1:]}.")
        # The modules of a domain's own commands are imported where they may be shown.
        own = COMMANDS.get(domain, {}) if named[:1] in ([], [domain]) else {}
        commands = own | {stage: _own(stage) for stage in STAGES}
        for name, path in commands.items():
            called = named == [domain, name]
            _add(group, name, path, domain=domain, arguments=arguments if called else None)
        app.add_typer(group, name=domain)
    for name in GENERAL:
        called = named[:1] == [name]
        _add(app, name, _own(name), domain=None, arguments=arguments if called else None)
    return app


def _own(name: str) -> str:
    """The path of a command of this package, in the form of ``registry.COMMANDS``."""
    return f"aitk.cli.commands.{name}:{name}"


def _add(
    app: typer.Typer, name: str, path: str, *, domain: str | None, arguments: Sequence[str] | None
) -> None:
    """Add a command: complete for the arguments that call it, otherwise only its title.

    Args:
        path: ``module:function`` of the command.
    """
    function = load(path)
    if arguments is None:
        app.command(name)(_title(function))
    else:
        command = as_command(function, domain=domain, arguments=arguments)
        app.command(name, cls=GroupedCommand)(command)


def _title(function: Callable[..., Outcome]) -> Callable[[], None]:
    """The entry of a command that is not being called, for the list of commands."""

    def command() -> None:
        """Never called: the command that the arguments name is built whole."""

    command.__doc__ = (function.__doc__ or "").partition("\n")[0]
    return command


def _group(help: str, *, add_completion: bool = False, **more: Any) -> typer.Typer:
    return typer.Typer(
        cls=LightGroup,
        help=help.replace("\n\n    ", "\n\n\b\n    "),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=add_completion,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
        **more,
    )


def _overview(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        Output().write(f"aitk {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        Output().help(context.get_help())
        raise typer.Exit(2)


def _exit_codes() -> str:
    return "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
