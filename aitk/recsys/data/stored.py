"""The Parquet tables beside the rows: the catalogue, the users, and all their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.recsys.data.attributes import Attributes
from aitk.recsys.data.events import Events
from aitk.recsys.data.tables import write_table

ITEM_TABLE, USER_TABLE, HISTORY_TABLE = "items.parquet", "users.parquet", "histories.parquet"


def write_catalogue(
    path: Path,
    key: str,
    ids: Sequence[str],
    attributes: Attributes | None,
    *,
    known_as: Sequence[str],
) -> None:
    """Write a table with a row for each item (or user), in the order of their numbers.

    Args:
        key: name of the column of the ids: item or user.
        attributes: what is known of them, or None.
        known_as: the ids by which ``attributes`` knows them.
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
    """Write all events of each user, oldest first, from ordered events."""
    import pyarrow

    starts = pyarrow.array(events.user_starts().astype(np.int32))
    columns = {"user": pyarrow.array(events.user_ids, pyarrow.string())}
    for name, values in (("items", events.items), ("ratings", events.ratings)):
        columns[name] = pyarrow.ListArray.from_arrays(starts, pyarrow.array(values))
    write_table(path, pyarrow.table(columns))


def stored_times(events: Events) -> np.ndarray:
    """(events,) int64 whole seconds, or places in the user's history where there are no times."""
    times = np.floor(events.times) if events.has_times else events.places()
    return times.astype(np.int64)


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
