"""The Parquet tables stored with the rows: the catalogue, the users, and all their events.

Attribute columns record their kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.json_files import check_shape
from aitk.core.io.values import parse_json
from aitk.recsys.data.attributes import Attributes
from aitk.recsys.data.events import Events

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

ITEM_TABLE, USER_TABLE, HISTORY_TABLE = "items.parquet", "users.parquet", "histories.parquet"
KINDS = b"kinds"
LARGEST_EXPANSION = 1000  # relative to the file size: constant columns compress extremely well
SMALL_BYTES = 64 * 1024**2


def write_table(path: Path, table: pyarrow.Table, kinds: Mapping[str, str] | None = None) -> None:
    """Write a table; ``kinds`` gives the kinds of its attribute columns."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    if kinds is not None:
        table = table.replace_schema_metadata({KINDS: json.dumps(dict(kinds)).encode()})
    parquet.write_table(table, path, compression="zstd")


def read_table(path: Path) -> tuple[pyarrow.Table, dict[str, str]]:
    """Read a table and the kinds of its attribute columns.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _check_claims(file.metadata, path)
            table = file.read()
        kinds = parse_json((table.schema.metadata or {}).get(KINDS, b"{}"))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise ArtifactError(f"cannot be read ({error})", where=str(path)) from error
    check_shape(kinds, {str: str}, where=str(path))
    return table, kinds


def read_catalogue(path: Path) -> tuple[pyarrow.Table, dict[str, str]]:
    """Read a table of items, whose ids are the column ``item``, and the kinds of the others.

    Raises:
        ArtifactError: it is missing or damaged, or a column does not match its kind.
    """
    table, kinds = read_table(path)
    if "item" not in table.column_names:
        raise ArtifactError("has no column item", where=str(path))
    for name, kind in {"item": "text", **kinds}.items():
        if name not in table.column_names or not _is_kind(table.schema.field(name).type, kind):
            raise ArtifactError(f"its column {name} is not of kind {kind}", where=str(path))
    items = table.column("item")
    # In Python: ``unique`` imports ``pyarrow.compute``, which takes longer than to look at them.
    if items.null_count or len(set(items.to_pylist())) < len(items):
        raise ArtifactError("an item has no id, or a duplicate one", where=str(path))
    return table, kinds


def write_catalogue(
    path: Path,
    key: str,
    ids: Sequence[str],
    attributes: Attributes | None,
    *,
    known_as: Sequence[str],
) -> None:
    """Write a table with one row per item (or user), by number.

    Args:
        key: name of the id column: item or user.
        attributes: their attributes, or None.
        known_as: their ids in ``attributes``.
    """
    import pyarrow

    columns: dict[str, Any] = {key: pyarrow.array(ids, pyarrow.string())}
    kinds: Mapping[str, str] = {}
    if attributes is not None:
        kinds = attributes.kinds
        for name, values in attributes.of(known_as).items():
            columns[name] = pyarrow.array(values, _arrow_type(kinds[name], attributes.values[name]))
    write_table(path, pyarrow.table(columns), kinds)


def write_histories(path: Path, events: Events) -> None:
    """Write the events of each user, oldest first, from ordered events."""
    import pyarrow

    starts = pyarrow.array(events.user_starts().astype(np.int32))
    columns = {"user": pyarrow.array(events.user_ids, pyarrow.string())}
    for name, values in (("items", events.items), ("ratings", events.ratings)):
        columns[name] = pyarrow.ListArray.from_arrays(starts, pyarrow.array(values))
    write_table(path, pyarrow.table(columns))


def stored_times(events: Events) -> np.ndarray:
    """(events,) int64 whole seconds, or positions in the user's history without times."""
    times = np.floor(events.times) if events.has_times else events.places()
    return times.astype(np.int64)


def _is_kind(stored: pyarrow.DataType, kind: str) -> bool:
    from pyarrow import types

    if kind == "number":
        return types.is_floating(stored)
    if kind == "tags":
        return types.is_list(stored) and types.is_string(stored.value_type)
    if kind == "vector":
        return types.is_fixed_size_list(stored) and types.is_floating(stored.value_type)
    return kind in ("text", "picture", "audio") and types.is_string(stored)


def _check_claims(described: parquet.FileMetaData, path: Path) -> None:
    """Refuse a file whose declared size far exceeds its actual size."""
    groups = (described.row_group(number) for number in range(described.num_row_groups))
    claimed = max(sum(group.total_byte_size for group in groups), described.num_rows)
    if claimed > LARGEST_EXPANSION * path.stat().st_size + SMALL_BYTES:
        raise ArtifactError(f"declares {claimed:,} bytes", where=str(path))


def _arrow_type(kind: str, values: Sequence[Any]) -> Any:
    import pyarrow

    if kind == "number":
        return pyarrow.float64()
    if kind == "tags":
        return pyarrow.list_(pyarrow.string())
    if kind == "vector":
        size = next(len(value) for value in values if value is not None)
        return pyarrow.list_(pyarrow.float32(), size)
    return pyarrow.string()
