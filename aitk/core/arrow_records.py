"""Rows of Arrow tables as records of JSON values."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aitk.core.errors import DataError
from aitk.core.lines import MAX_LINE_BYTES
from aitk.core.values import MAX_DEPTH, plain_value

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet


def open_parquet(source: str) -> parquet.ParquetFile:
    """Open a file so that a value which its dictionary holds once is held once in memory, too:
    of a few kilobytes, a thousand rows of megabytes each can be made.

    Raises:
        ArrowException, OSError, ValueError: it is no such file.
    """
    import pyarrow
    from pyarrow import parquet, types

    path = os.fsencode(source)  # a name may be no text
    schema = parquet.read_schema(pyarrow.OSFile(path))
    texts = [field.name for field in schema if types.is_string(field.type)]
    return parquet.ParquetFile(pyarrow.OSFile(path), read_dictionary=texts)


def read_batch(
    batch: pyarrow.RecordBatch, columns: Sequence[str], *, where: str
) -> Iterator[dict[str, Any] | str]:
    """The record of each row; or, of a row with a value that Python cannot hold, why it has none.

    Nanoseconds are cut to microseconds; times in an unknown zone are told in UTC.

    Args:
        columns: the names of the columns.
        where: the file, for errors.

    Raises:
        DataError: a whole column cannot be read.
    """
    values = [
        _column_values(column, name, where)
        for column, name in zip(batch.columns, columns, strict=True)
    ]
    for row in zip(*values, strict=True):
        problem = next((value for value in row if isinstance(value, _Unreadable)), None)
        yield problem.reason if problem else dict(zip(columns, map(plain_value, row), strict=True))


@dataclass(frozen=True, slots=True)
class _Unreadable:
    reason: str


def _column_values(column: pyarrow.Array, name: str, where: str) -> list[Any]:
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        used = column.indices.unique().drop_null()
        values = _column_values(column.dictionary.take(used), name, where)
        value_of = dict(zip(used.to_pylist(), values, strict=True)) | {None: None}
        return [value_of[number] for number in column.indices.to_pylist()]
    try:
        readable = _readable(column.type)
        if readable != column.type:
            column = column.cast(readable, safe=False)
    except (pyarrow.ArrowException, NotImplementedError, ValueError) as error:
        raise DataError(f"its column {name!r} cannot be read ({error})", where=where) from error
    try:
        values = column.to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError):
        values = [_scalar_value(scalar, name) for scalar in column]
    return [
        _Unreadable(f"its {name} is longer than {MAX_LINE_BYTES:,} characters")
        if isinstance(value, str | bytes) and len(value) > MAX_LINE_BYTES
        else value
        for value in values
    ]


def _scalar_value(scalar: pyarrow.Scalar, name: str) -> Any:
    import pyarrow

    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return _Unreadable(f"its {name} is not UTF-8 (byte 0x{error.object[error.start]:02x})")
    except (pyarrow.ArrowException, ValueError, OverflowError):
        return _Unreadable(f"its {name} is a {scalar.type} that is out of range")


def _readable(kind: pyarrow.DataType, depth: int = 0) -> pyarrow.DataType:
    """The nearest type whose values Python can hold."""
    import pyarrow
    from pyarrow import types

    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")

    def inner(part: pyarrow.DataType) -> pyarrow.DataType:
        return _readable(part, depth + 1)

    if types.is_timestamp(kind):
        unit = "us" if kind.unit == "ns" else kind.unit
        return pyarrow.timestamp(unit, kind.tz and _known_zone(kind.tz))
    if types.is_time64(kind):
        return pyarrow.time64("us")
    if types.is_duration(kind) and kind.unit == "ns":
        return pyarrow.duration("us")
    if types.is_dictionary(kind):
        return inner(kind.value_type)
    if types.is_struct(kind):
        return pyarrow.struct([kind[at].with_type(inner(kind[at].type)) for at in range(len(kind))])
    if types.is_map(kind):
        return pyarrow.map_(inner(kind.key_type), inner(kind.item_type))
    if types.is_fixed_size_list(kind):
        return pyarrow.list_(inner(kind.value_type), kind.list_size)
    if types.is_large_list(kind):
        return pyarrow.large_list(kind.value_field.with_type(inner(kind.value_type)))
    if types.is_list(kind):
        return pyarrow.list_(kind.value_field.with_type(inner(kind.value_type)))
    return kind


def _known_zone(zone: str) -> str:
    """The time zone, or UTC if this machine does not know it."""
    import pyarrow

    try:
        pyarrow.lib.string_to_tzinfo(zone)
    except (pyarrow.ArrowException, ValueError, OSError):
        return "UTC"
    return zone
