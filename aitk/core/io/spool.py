"""Serialisation of rows during ``prepare``: JSON with bytes and arrays."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError

_BYTES, _ARRAY = "$bytes", "$array"


def dump_line(value: Any, *, sort_keys: bool = False) -> str:
    """A JSON value, possibly with bytes and arrays, in one line."""
    # The digest of rows uses this text: without sorting, it would depend on their readers.
    return _ENCODE[sort_keys](value)


def load_line(line: str, *, where: str) -> Any:
    """The inverse of ``dump_line``.

    Raises:
        ArtifactError: the line is invalid; ``where`` is named.
    """
    try:
        # Few rows hold bytes or arrays: looking for them in every object takes as long as parsing.
        return (_DECODE_WRAPPED if '"$' in line else _DECODE)(line)
    except (ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"is damaged ({error})", where=where) from error


def _wrapped(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {_ARRAY: [value.dtype.str, list(value.shape), content]}
    raise TypeError(f"a row has a {type(value).__name__}, which cannot be stored")


def _unwrapped(value: dict[str, Any]) -> Any:
    if _BYTES in value:
        return base64.b64decode(value[_BYTES])
    if _ARRAY in value:
        dtype, shape, content = value[_ARRAY]
        return np.frombuffer(base64.b64decode(content), np.dtype(dtype)).reshape(shape).copy()
    return value


# Made once: ``json.dumps`` and ``json.loads`` make a new one for each value.
_ENCODE = {
    sort_keys: json.JSONEncoder(
        ensure_ascii=sort_keys, sort_keys=sort_keys, default=_wrapped
    ).encode
    for sort_keys in (False, True)
}
_DECODE = json.JSONDecoder().decode
_DECODE_WRAPPED = json.JSONDecoder(object_hook=_unwrapped).decode
