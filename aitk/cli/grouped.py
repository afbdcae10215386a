"""Help in sections: the options of a command under their titles; and values without Pydantic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from typer.core import TyperCommand, TyperGroup


class LightGroup(TyperGroup):
    """A group of commands that reads its options without Pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _lightened(super().get_params(ctx))


class GroupedCommand(TyperCommand):
    """Lists options by ``rich_help_panel`` in plain text, which is faster than rich."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _lightened(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        parts: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                default = "Arguments" if parameter.param_type_name == "argument" else "Options"
                title = getattr(parameter, "rich_help_panel", None) or default
                parts.setdefault(title, []).append(record)
        for title, records in parts.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _lightened(parameters: list[Any]) -> list[Any]:
    """The parameters, converting plain values by themselves.

    Typer converts each value by a Pydantic adapter, also that of an option which is not given:
    importing Pydantic takes a third of the time of a help text.
    """
    for parameter in parameters:
        if "process_value" not in vars(parameter):
            parameter.process_value = _converter(parameter, parameter.process_value)
    return parameters


def _converter(parameter: Any, convert: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The conversion of a value: at once if it is not given, text or a path, else by Typer."""
    annotation = parameter.type_descriptor.annotation
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    kind = kinds[0] if len(kinds) == 1 and NoneType in get_args(annotation) else annotation
    is_many = parameter.nargs == -1 or getattr(parameter, "multiple", False)

    def process(ctx: Any, value: Any) -> Any:
        if value is None and not parameter.required:
            empty = () if is_many else None
            return (
                empty if parameter.callback is None else parameter.callback(ctx, parameter, empty)
            )
        if parameter.callback is None and value:
            if kind in (str, Path) and type(value) is str:
                return kind(value)
            if kind == list[str] and not isinstance(value, str) and _are_texts(value):
                return list(value)
        return convert(ctx, value)

    return process


def _are_texts(values: Any) -> bool:
    return all(type(value) is str for value in values)
