"""Options declared once, as frozen dataclasses.

A single declaration defines the command's flags and help, the keys of a config file,
``--set KEY=VALUE``, the listing of ``aitk tasks`` and the record in ``run.json``.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from aitk.core.contract.errors import UsageError
from aitk.core.io.values import parse_json, quoted

Options = TypeVar("Options")
LARGEST_CONFIG_BYTES = 16 * 1024**2
#: Whole numbers are counts and seeds, which libraries store in 32 bits.
_LARGEST = {int: 2**31 - 1, float: 1e300}
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_QUOTED = r',\s*(?:"((?:[^"]|"")*)"\s*(?=,|\Z)|'
_ENTRY = re.compile(_QUOTED + r"([^,]*))")
_KEYED_ENTRY = re.compile(_QUOTED + r"(.*?)(?=,[^,=]+=|\Z))", re.DOTALL)
_NAMES_SHOWN = 5


def option(
    default: Any,
    help: str,
    *,
    choices: Iterable[str] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    scored: bool = False,
    keyed: bool = False,
    locates: bool = False,
    rare: bool = False,
    search: str | None = None,
    inherited: bool = True,
) -> Any:
    """Declare one field of an options dataclass, with its help text.

    Args:
        scored: for a predict option: it changes the scores, not only the report, so it is also an
            option of ``evaluate``.
        keyed: for a list: its entries are KEY=VALUE, where VALUE may contain commas.
        locates: for a reading option: it describes how to find rows in files rather than how to
            process them, so ``predict`` and ``explain`` take it again.
        rare: rarely needed: help lists it after the others.
        search: for a setting: the default search range of ``tune``, ``LOW..HIGH`` (log-uniform if
            LOW > 0) or ``A,B,C``.
        inherited: for a setting: a model that starts from another run inherits its value;
            regularisation settings are not inherited.
    """
    metadata = {
        "help": help,
        "choices": tuple(choices),
        "minimum": minimum,
        "maximum": maximum,
        "scored": scored,
        "keyed": keyed,
        "locates": locates,
        "rare": rare,
        "search": search,
        "inherited": inherited,
    }
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """The predict options added by a task; subclass it to declare some.

    Options declared as ``scored`` are also options of ``evaluate``.
    """

    #: Default of ``--top-k``.
    default_top_k: ClassVar[int] = 1


@dataclasses.dataclass(frozen=True)
class Described:
    """One option as displayed in help texts, ``aitk tasks`` and error messages."""

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[str, ...]
    optional: bool
    repeated: bool
    scored: bool
    keyed: bool
    locates: bool
    rare: bool
    search: str | None
    inherited: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.rstrip("_").replace("_", "-")


def describe(options: type) -> list[Described]:
    """List the fields of an options dataclass in declaration order."""
    hints = typing.get_type_hints(options)
    described = []
    for field in dataclasses.fields(options):
        kind, optional, repeated = plain_type(hints[field.name])
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        described.append(
            Described(
                field.name,
                kind,
                default,
                field.metadata.get("help", ""),
                field.metadata.get("choices", ()),
                optional,
                repeated,
                field.metadata.get("scored", False),
                field.metadata.get("keyed", False),
                field.metadata.get("locates", False),
                field.metadata.get("rare", False),
                field.metadata.get("search"),
                field.metadata.get("inherited", True),
            )
        )
    return described


def resolve(options: type[Options], *layers: Mapping[str, Any], where: str = "option") -> Options:
    """Build the options from layers of given values; later layers win.

    Values may be strings (from ``--set`` or a shell) or typed (from TOML or JSON). An unknown key,
    a value of the wrong type, or one outside its choices or range is a ``UsageError`` that names
    the nearest valid one.
    """
    fields = {field.name: field for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    described = {item.name: item for item in describe(options)}
    values: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            key = name.replace("-", "_")
            key = f"{key}_" if f"{key}_" in fields else key  # ``from`` is a Python keyword
            if key not in fields:
                raise unknown_name(name, fields, what=where)
            values[key] = _checked(described[key], value, fields[key].metadata)
    return options(**values)


def as_dict(options: Any) -> dict[str, Any]:
    """The options as JSON values, including all defaults."""
    return {
        key.rstrip("_"): str(value) if isinstance(value, Path) else value
        for key, value in dataclasses.asdict(options).items()
    }


def changed(options: Any) -> dict[str, Any]:
    """The options, as JSON values, that differ from their defaults."""
    usual = as_dict(type(options)())
    return {name: value for name, value in as_dict(options).items() if value != usual[name]}


def known_names(*options: type) -> set[str]:
    """Every field name of these options dataclasses."""
    return {field.name for item in options for field in dataclasses.fields(item)}


def split_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Parse repeated ``--set KEY=VALUE``.

    Raises:
        UsageError: an assignment is malformed, or a key is assigned twice.
    """
    values: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"cannot read {assignment!r}", where="--set", hint="Use KEY=VALUE")
        key = key.strip().replace("-", "_")
        if key in values:
            raise UsageError(f"{key} is set twice", where="--set", hint="Give it once")
        values[key] = value.strip()
    return values


def split_list(text: str, *, keyed: bool = False) -> list[str]:
    """Split a text at commas and trim the entries. Entries in double quotes may contain commas.

    Args:
        keyed: a comma separates entries only before ``KEY=``: values may contain commas.

    >>> split_list('a, "b,c"')
    ['a', 'b,c']
    >>> split_list("genre=Action, Drama,year=1990..1999", keyed=True)
    ['genre=Action, Drama', 'year=1990..1999']
    """
    found = (_KEYED_ENTRY if keyed else _ENTRY).findall("," + text)
    entries = (quoted.replace('""', '"') or plain for quoted, plain in found)
    return [entry.strip() for entry in entries if entry.strip()]


def require_names(wanted: Iterable[str], known: Iterable[str], *, where: str, what: str) -> None:
    """Check that the names given in an option occur in the data.

    Args:
        what: kind of name, in the singular.

    Raises:
        UsageError: a name does not occur; the nearest ones are listed.
    """
    names = sorted(set(known))
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[:_NAMES_SHOWN]
            more = ", ..." if len(near) == _NAMES_SHOWN < len(names) else ""
            hint = f"Known: {', '.join(near)}{more}" if near else f"No {what} is named"
            raise UsageError(f"no {what} {name!r} in the data", where=where, hint=hint)


def read_config(path: Path) -> dict[str, Any]:
    """Read a TOML config file, or the options in a ``run.json``."""
    try:
        if path.stat().st_size > LARGEST_CONFIG_BYTES:
            raise UsageError("is too large for a config file", where=str(path))
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the config file ({error})", where=str(path)) from error
    try:
        values = parse_json(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"not valid {path.suffix[1:].upper()}: {error}", where=str(path)
        ) from error
    if not isinstance(values, dict):
        raise UsageError("a config file must contain keys and values", where=str(path))
    if path.suffix == ".json" and "options" in values:
        options, settings = values["options"], values.get("settings", {})
        if not isinstance(options, dict) or not isinstance(settings, dict):
            raise UsageError("its options are not keys and values", where=str(path))
        values = options | {"set": settings}
    return values


def unknown_name(name: str, known: Iterable[str], *, what: str) -> UsageError:
    """The error for a name outside a closed list, with the nearest valid name."""
    names = sorted(known)
    near = difflib.get_close_matches(name.replace("-", "_"), names, n=1, cutoff=0.5)
    hint = f"Known: {', '.join(names)}" if names else "There are none here"
    if near:
        hint = f"Did you mean {near[0]!r}?"
    return UsageError(f"unknown {what} {name!r}", hint=hint)


def plain_type(hint: Any) -> tuple[type, bool, bool]:
    """The type inside ``int | None`` or ``list[str]``, and whether it is optional or repeated."""
    optional = False
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        inner = [item for item in typing.get_args(hint) if item is not type(None)]
        optional = len(inner) < len(typing.get_args(hint))
        hint = inner[0]
    if typing.get_origin(hint) is list:
        return typing.get_args(hint)[0], optional, True
    return hint, optional, False


def _checked(item: Described, value: Any, metadata: Mapping[str, Any]) -> Any:
    if value is None or (item.optional and value == "none"):
        if item.optional:
            return None
        raise UsageError(f"{item.name} needs a value")
    if item.repeated:
        if item.keyed and isinstance(value, Mapping):
            value = _assignments(value)
        if not isinstance(value, list | tuple):
            value = split_list(str(value), keyed=item.keyed)
        return [_converted(item, each, metadata) for each in value]
    return _converted(item, value, metadata)


def _assignments(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A config table as ``KEY=VALUE``; keys of an inner table become ``TABLE.KEY``.

    >>> _assignments({"dropout": "0..0.5", "cnn": {"filters": [32, 64]}})
    ['dropout=0..0.5', 'cnn.filters=32,64']
    """
    found = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += _assignments(value, f"{prefix}{key}.")
        else:
            values = value if isinstance(value, list) else [value]
            found.append(f"{prefix}{key}=" + ",".join(map(str, values)))
    return found


def _converted(item: Described, value: Any, metadata: Mapping[str, Any]) -> Any:
    kind = item.type
    try:
        value = _as_kind(kind, value)
    except (ValueError, KeyError, OverflowError) as error:
        raise UsageError(
            f"{item.name} takes {_KINDS.get(kind, kind.__name__)}, not {quoted(value)}",
            hint=f"Default: {item.default}",
        ) from error
    if item.choices and value not in item.choices:
        raise unknown_name(str(value), item.choices, what=item.name)
    low, high = metadata.get("minimum"), metadata.get("maximum")
    if kind in (int, float) and not (
        (low is None or value >= low) and (high is None or value <= high)
    ):
        between = " and ".join(
            text
            for text in (
                f"at least {low}" if low is not None else "",
                f"at most {high}" if high is not None else "",
            )
            if text
        )
        raise UsageError(f"{item.name} is {value}", hint=f"It must be {between}")
    return value


def _as_kind(kind: type, value: Any) -> Any:
    """Convert a value or its text to the type of an option.

    Raises:
        ValueError: the type differs, or the number is out of range.
        KeyError: the text is not a boolean.
        OverflowError: the number is infinite.
    """
    if kind is bool:
        return _BOOLEANS[str(value).lower()]
    if isinstance(value, bool) or not isinstance(value, str | int | float | Path):
        raise ValueError
    if kind not in _LARGEST:
        return kind(value)
    number = kind(value)
    if not abs(number) <= _LARGEST[kind] or (isinstance(value, float) and value != number):
        raise ValueError
    return number
