"""Rows of Arrow tables as records of JSON values."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import DataError
from aitk.core.io.lines import MAX_LINE_BYTES
from aitk.core.io.values import MAX_DEPTH, plain_value

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet


def open_parquet(source: str) -> parquet.ParquetFile:
    """Open a file so that repeated values of a dictionary are held once in memory: otherwise a file
    of a few kilobytes could expand to a thousand rows of megabytes each.

    Raises:
        ArrowException, OSError, ValueError: the file is not valid Parquet.
    """
    import pyarrow
    from pyarrow import parquet, types

    path = os.fsencode(source)  # a name may not be valid text
    schema = parquet.read_schema(pyarrow.OSFile(path))
    texts = [field.name for field in schema if types.is_string(field.type)]
    return parquet.ParquetFile(pyarrow.OSFile(path), read_dictionary=texts)


def read_batch(
    batch: pyarrow.RecordBatch, columns: Sequence[str], *, where: str
) -> Iterator[dict[str, Any] | str]:
    """The record of each row, or the reason why a value cannot be represented in Python.

    Nanoseconds are truncated to microseconds; times in unknown zones are given in UTC.

    Args:
        columns: the names of the columns.
        where: the file, for errors.

    Raises:
        DataError: a whole column cannot be read.
    """
    values: list[list[Any]] = []
    problems: dict[int, str] = {}
    for column, name in zip(batch.columns, columns, strict=True):
        found, refused = _column_values(column, name, where)
        values.append(found)
        problems |= refused
    for number, row in enumerate(zip(*values, strict=True)):
        yield problems.get(number) or dict(zip(columns, row, strict=True))


def all_plain(batch: pyarrow.RecordBatch) -> bool:
    """Whether every value is a whole number, a float or a short valid text, and none is missing."""
    import pyarrow
    from pyarrow import types

    for column in batch.columns:
        kind = column.type
        if column.null_count:
            return False
        if types.is_dictionary(kind):
            column, kind = column.dictionary, kind.value_type
        if types.is_integer(kind) or types.is_floating(kind):
            continue
        if not types.is_string(kind) or column.null_count or column.nbytes > MAX_LINE_BYTES:
            return False
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid:
            return False
    return True


def _column_values(
    column: pyarrow.Array, name: str, where: str
) -> tuple[list[Any], dict[int, str]]:
    """The JSON value of each row, and the reasons for rows without one."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        return _shared_values(column, name, where)
    try:
        readable = _readable(column.type)
        if readable != column.type:
            column = column.cast(readable, safe=False)
    except (pyarrow.ArrowException, NotImplementedError, ValueError) as error:
        raise DataError(f"its column {name!r} cannot be read ({error})", where=where) from error
    problems: dict[int, str] = {}
    try:
        values = column.to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError):
        values = []
        for row, scalar in enumerate(column):
            value, problem = _scalar_value(scalar, name)
            values.append(value)
            problems |= {row: problem} if problem else {}
    if not pyarrow.types.is_string(column.type):
        values = [plain_value(value) for value in values]
    for row, value in enumerate(values):
        if isinstance(value, str) and len(value) > MAX_LINE_BYTES:
            problems[row] = f"its {name} is longer than {MAX_LINE_BYTES:,} characters"
    return values, problems


def _shared_values(
    column: pyarrow.DictionaryArray, name: str, where: str
) -> tuple[list[Any], dict[int, str]]:
    """The values of a column that stores repeated values once."""
    import pyarrow

    numbers = column.indices.to_pylist()
    used = sorted({number for number in numbers if number is not None})
    places = pyarrow.array(used, column.indices.type)
    values, problems = _column_values(column.dictionary.take(places), name, where)
    value_of = dict(zip(used, values, strict=True)) | {None: None}
    reason_of = {used[at]: reason for at, reason in problems.items()}
    rows = enumerate(numbers) if reason_of else ()
    refused = {row: reason_of[number] for row, number in rows if number in reason_of}
    return [value_of[number] for number in numbers], refused


def _scalar_value(scalar: pyarrow.Scalar, name: str) -> tuple[Any, str | None]:
    import pyarrow

    try:
        return scalar.as_py(), None
    except UnicodeDecodeError as error:
        return None, f"its {name} is not UTF-8 (byte 0x{error.object[error.start]:02x})"
    except (pyarrow.ArrowException, ValueError, OverflowError):
        return None, f"its {name} is a {scalar.type} that is out of range"


def _readable(kind: pyarrow.DataType, depth: int = 0) -> pyarrow.DataType:
    """The nearest type that Python can represent."""
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
    """The time zone, or UTC if it is unknown on this machine."""
    import pyarrow

    try:
        pyarrow.lib.string_to_tzinfo(zone)
    except (pyarrow.ArrowException, ValueError, OSError):
        return "UTC"
    return zone
