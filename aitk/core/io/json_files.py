"""JSON of runs and prepared data from untrusted sources: bounded, and checked against a shape.

A shape describes a value::

    str, int, float, bool, dict, list     a value of that type; ``float`` includes whole numbers
    str | None, (shape, None)             either
    Count, Size                           a whole number from 0, from 1
    [shape]                               a list of such values
    {str: shape}                          an object with only such values
    {"name": shape, "other?": shape}      an object with these keys, optional ones with ``?``;
                                          other keys are ignored
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.values import parse_json

LARGEST_BYTES = 256 * 1024**2
LARGEST_NUMBER = 2**63  # larger integers do not fit into arrays
_LONG_NUMBER = re.compile(r"\d{19}")
LONGEST_SHOWN = 60  # maximum characters of an invalid value in a message


class Count(int):
    """In a shape: a whole number from 0."""


class Size(int):
    """In a shape: a whole number from 1."""


_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    Count: "a whole number from 0",
    Size: "a whole number from 1",
    NoneType: "null",
}


def read_json(
    path: Path, shape: Any = dict, *, largest_bytes: int = LARGEST_BYTES
) -> dict[str, Any]:
    """Read a JSON object of a run, of prepared data or of a model.

    Raises:
        ArtifactError: it is missing, too large or too deep, not JSON, or has another shape.
    """
    value = parse_line(read_text(path, largest_bytes=largest_bytes), where=str(path))
    if not isinstance(value, dict):
        raise ArtifactError("is not a JSON object", where=str(path))
    check_shape(value, shape, where=str(path))
    return value


def read_text(path: Path, *, largest_bytes: int = LARGEST_BYTES) -> str:
    """The text of such a file.

    Raises:
        ArtifactError: it is missing, too large, or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > largest_bytes:
            raise ArtifactError(
                f"is too large ({size:,} bytes, maximum {largest_bytes:,})", where=str(path)
            )
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(f"cannot be read ({reason})", where=str(path)) from error


def parse_line(line: str, *, where: str) -> Any:
    """The JSON value of a file or of one of its lines; None for a non-finite number.

    Raises:
        ArtifactError: it is not JSON, nested too deep, or has a number too large for arrays.
    """
    try:
        value = parse_json(line)
    except ValueError as error:
        raise ArtifactError(f"is damaged ({error})", where=where) from error
    if _LONG_NUMBER.search(line) and not _is_bounded(value):
        raise ArtifactError("is damaged (a number is too large)", where=where)
    return value


def check_shape(value: Any, shape: Any, *, where: str, key: str = "") -> None:
    """Raise ``ArtifactError``, naming the key, if a value does not have the shape."""
    if isinstance(shape, tuple):
        if value is not None:
            check_shape(value, shape[0], where=where, key=key)
    elif isinstance(shape, list):
        _require(isinstance(value, list), value, list, where, key)
        for number, item in enumerate(value):
            check_shape(item, shape[0], where=where, key=f"{key}[{number}]")
    elif isinstance(shape, dict):
        _require(isinstance(value, dict), value, dict, where, key)
        for name, inner in _named(shape, value):
            path = f"{key}.{name}" if key else name
            check_shape(value[name], inner, where=where, key=path)
        missing = [name for name in shape if name not in value and not _may_miss(name)]
        if missing:
            within = f"{key} lacks" if key else "lacks"
            raise ArtifactError(f"{within} {', '.join(missing)}", where=where)
    else:
        kinds = shape.__args__ if isinstance(shape, UnionType) else (shape,)
        _require(any(_is(value, kind) for kind in kinds), value, shape, where, key)


def _is_bounded(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_bounded, value.values()))
    if isinstance(value, list):
        return all(map(_is_bounded, value))
    return not isinstance(value, int) or abs(value) <= LARGEST_NUMBER


def _named(shape: Mapping[Any, Any], value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The keys of the shape, each with the shape of its value."""
    if str in shape:
        return [(name, shape[str]) for name in value]
    known = {name.removesuffix("?"): inner for name, inner in shape.items()}
    return [(name, inner) for name, inner in known.items() if name in value]


def _may_miss(name: Any) -> bool:
    return name is str or name.endswith("?")


def _is(value: Any, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if isinstance(value, int) and kind in (int, float, Count, Size):
        return {Count: 0, Size: 1}.get(kind, -LARGEST_NUMBER) <= value <= LARGEST_NUMBER
    return isinstance(value, kind)


def _require(fits: bool, value: Any, shape: Any, where: str, key: str) -> None:
    if fits:
        return
    kinds = shape.__args__ if isinstance(shape, UnionType) else (shape,)
    due = " or ".join(_WORDS[kind] for kind in kinds)
    shown = repr(value) if len(repr(value)) <= LONGEST_SHOWN else f"{type(value).__name__}"
    raise ArtifactError(f"{key or 'it'}: expected {due}, not {shown}", where=where)
