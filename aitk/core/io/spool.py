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
    return json.dumps(value, ensure_ascii=sort_keys, sort_keys=sort_keys, default=_wrapped)


def load_line(line: str, *, where: str) -> Any:
    """The inverse of ``dump_line``.

    Raises:
        ArtifactError: the line is invalid; ``where`` is named.
    """
    try:
        return json.loads(line, object_hook=_unwrapped)
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
