"""Refuses repeated single-valued flags: using the last value would hide a mistake."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence

from typer.models import OptionInfo

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import plain_type


def refuse_repeats(arguments: Sequence[str], parameters: Sequence[inspect.Parameter]) -> None:
    """Check that no single-valued flag is repeated, and no switch is given both ways.

    Args:
        arguments: the command line.
        parameters: parameters of the command, in the form of Typer.

    Raises:
        UsageError: a flag is repeated.
    """
    declared = {name: item for item in parameters for name in _names(item)}
    given: dict[str, str] = {}
    tokens = iter(arguments)
    for token in tokens:
        if token == "--":
            return
        name, equals, value = token.partition("=")
        parameter = declared.get(name)
        if parameter is None:
            continue
        kind, _, repeated = plain_type(typing.get_args(parameter.annotation)[0])
        if kind is bool:
            value = name
        elif not equals:
            value = next(tokens, "")
        first = given.get(parameter.name)
        given[parameter.name] = value
        if first is None or repeated or (kind is bool and first == value):
            continue
        raise UsageError(f"is given twice: {first!r} and {value!r}", where=name, hint="Use one")


def _names(parameter: inspect.Parameter) -> list[str]:
    """``--balance`` and ``--no-balance``; empty for an argument."""
    marks = typing.get_args(parameter.annotation)[1:]
    options = [mark for mark in marks if isinstance(mark, OptionInfo)]
    # In an annotation, the first declaration is in the place of Typer's default.
    texts = [text for option in options for text in (option.default, *(option.param_decls or ()))]
    return [name for text in texts if isinstance(text, str) for name in text.split("/")]
