"""Assets of a recommender: the catalogue, the users, and their histories."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Count, read_json
from aitk.recsys.data.tables import read_catalogue, read_table, write_table

if TYPE_CHECKING:
    import pyarrow

FILE = "log.json"
ITEMS, HISTORIES, COUNTS = "items.parquet", "histories.parquet", "counts.npy"

#: The shape of ``log.json``.
SHAPE = {
    "users": [str],
    "protocol": str,
    "sampled_negatives": Count,
    "max_length": Count | None,
    "rating_range": [float],
    "rating_mean": float,
    "rating_deviation": float,
    "model": str,
    "settings": dict,
    "batches": str,
}


@dataclass(frozen=True)
class Histories:
    """The events of all users, oldest first, in compact columns.

    Attributes:
        users: ids, in row order.
        starts: (users + 1,) start of each user's events.
        items: (events,) catalogue numbers.
        ratings: (events,) float32.
    """

    users: tuple[str, ...]
    starts: np.ndarray
    items: np.ndarray
    ratings: np.ndarray

    @cached_property
    def numbers(self) -> dict[str, int]:
        """User id -> row."""
        return {user: number for number, user in enumerate(self.users)}

    def of(self, user: str) -> tuple[np.ndarray, np.ndarray]:
        """Items and ratings of a user; empty for an unknown user."""
        number = self.numbers.get(user)
        if number is None:
            return self.items[:0], self.ratings[:0]
        part = slice(self.starts[number], self.starts[number + 1])
        return self.items[part], self.ratings[part]

    def with_events(self, new: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Histories:
        """The histories with those of some users replaced or added: user -> items, ratings."""
        every = {user: self.of(user) for user in self.users} | dict(new)
        return pack_histories(every)


def pack_histories(every: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Histories:
    """Columns from user -> items, ratings."""
    lengths = [len(items) for items, _ in every.values()]
    parts = list(zip(*every.values(), strict=True)) or [[], []]
    return Histories(
        users=tuple(every),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=np.concatenate([np.zeros(0, np.int32), *parts[0]]).astype(np.int32),
        ratings=np.concatenate([np.zeros(0, np.float32), *parts[1]]).astype(np.float32),
    )


@dataclass(frozen=True)
class LogAssets:
    """The catalogue and the users of a recommender.

    Attributes:
        attributes: the items with their attributes, column ``item`` first; the row number is the
            item number.
        kinds: attribute -> text, tags, number, picture, audio or vector.
        users: ids of the users in the training rows: the first is user 1 of the model.
        histories: the full histories of all users, for predictions.
        counts: (items,) training events of each item.
        protocol: description of the evaluation protocol.
        sampled_negatives: number of random items that a held-out item is also ranked against.
        max_length: latest history items that the model reads, or None for all.
        rating_range: minimum and maximum training rating.
        rating_mean: mean training rating.
        rating_deviation: standard deviation of the training ratings.
        model: name of the model in its task.
        settings: its settings.
        batches: type of training batches, see ``batching``; ``ratings`` for rating prediction,
            empty for closed-form models.
        rating_biases: biases of users and items relative to the mean, for models that start from
            them. Not saved.
        renumbered: (items,) item numbers in the catalogue of the initial weights, -1 for new items;
            None without such weights. Not saved.
    """

    attributes: pyarrow.Table
    kinds: Mapping[str, str]
    users: tuple[str, ...]
    histories: Histories
    counts: np.ndarray
    protocol: str
    sampled_negatives: int = 0
    max_length: int | None = None
    rating_range: tuple[float, float] = (1.0, 1.0)
    rating_mean: float = 1.0
    rating_deviation: float = 1.0
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    batches: str = ""
    rating_biases: tuple[np.ndarray, np.ndarray] | None = None
    renumbered: np.ndarray | None = None

    @property
    def rated(self) -> bool:
        """Whether the model is trained on ratings rather than choices."""
        return self.batches == "ratings"

    @cached_property
    def items(self) -> list[str]:
        """Item ids by number."""
        return self.attributes.column("item").to_pylist()

    @cached_property
    def item_numbers(self) -> dict[str, int]:
        """Item id -> number from 0."""
        return {item: number for number, item in enumerate(self.items)}

    @cached_property
    def user_numbers(self) -> dict[str, int]:
        """User id -> number from 1."""
        return {user: number for number, user in enumerate(self.users, 1)}

    @cached_property
    def vectors(self) -> Any:
        """(items, d) all features concatenated, sparse; None if the items have none."""
        from scipy import sparse

        from aitk.recsys.features.item_features import item_features

        features = item_features(self.attributes, self.kinds)
        return sparse.hstack(list(features.values()), format="csr") if features else None

    @cached_property
    def titles(self) -> list[str | None] | None:
        """Display names of the items: their first text attribute, if any."""
        named = [name for name, kind in self.kinds.items() if kind == "text"]
        return self.attributes.column(named[0]).to_pylist() if named else None

    def save(self, folder: Path) -> None:
        """Write ``log.json``, ``items.parquet``, ``histories.parquet`` and ``counts.npy``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_table(folder / ITEMS, self.attributes, self.kinds)
        write_table(folder / HISTORIES, histories_table(self.histories))
        np.save(folder / COUNTS, self.counts, allow_pickle=False)
        values = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            if item.name
            not in ("attributes", "kinds", "histories", "counts", "rating_biases", "renumbered")
        }
        write_json(folder / FILE, values)


def load_log_assets(folder: Path) -> LogAssets:
    """Read assets written by ``LogAssets.save``.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    for name in (FILE, ITEMS, HISTORIES, COUNTS):
        if not (folder / name).is_file():
            raise ArtifactError(f"{name} is missing", where=str(folder))
    values = read_json(folder / FILE, SHAPE)
    if unknown := values.keys() - SHAPE.keys():
        raise ArtifactError(f"is damaged (unknown: {min(unknown)})", where=str(folder / FILE))
    attributes, kinds = read_catalogue(folder / ITEMS)
    low, high = values["rating_range"] if len(values["rating_range"]) == 2 else (1.0, 0.0)
    if not low <= high or values["max_length"] == 0:
        raise ArtifactError(
            "its ratings or lengths have an invalid range", where=str(folder / FILE)
        )
    return LogAssets(
        attributes=attributes,
        kinds=kinds,
        histories=read_histories(folder / HISTORIES, items=len(attributes)),
        counts=_read_counts(folder / COUNTS, items=len(attributes)),
        **{**values, "users": tuple(values["users"]), "rating_range": (low, high)},
    )


def read_histories(path: Path, *, items: int) -> Histories:
    """Read histories from a table in the form of ``histories_table``.

    Args:
        items: size of the catalogue.

    Raises:
        ArtifactError: it is missing or damaged, or an item is not in the catalogue.
    """
    table, _ = read_table(path)
    try:
        histories = histories_of(table)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(path)) from error
    if len(histories.starts) != len(histories.users) + 1 or None in histories.users:
        raise ArtifactError("a user has no id", where=str(path))
    check_items(histories.items, items, where=str(path))
    return histories


def check_items(numbers: Sequence[int] | np.ndarray, items: int, *, where: str) -> None:
    """Raise ``ArtifactError`` unless these are item numbers of a catalogue of this size."""
    if len(numbers) and not 0 <= np.min(numbers) <= np.max(numbers) < items:
        raise ArtifactError(f"has items outside the catalogue of {items}", where=where)


def _read_counts(path: Path, *, items: int) -> np.ndarray:
    try:
        # Memory mapping bounds the size, independent of the header.
        counts = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError, OverflowError, EOFError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(path)) from error
    if counts.shape != (items,) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ArtifactError(
            f"does not have {items} counts, the size of the catalogue", where=str(path)
        )
    return counts


def check_catalogue(path: Path, assets: LogAssets) -> None:
    """Raise ``ArtifactError`` unless the items of this table have the assets' numbers.

    Either may continue beyond the end of the other.
    """
    items = read_catalogue(path)[0].column("item").to_pylist()
    shared = min(len(items), len(assets.items))
    if items[:shared] != assets.items[:shared]:
        raise ArtifactError(
            "its item numbers differ from those of the model",
            where=str(path),
            hint="Evaluate the model on data prepared from its training log",
        )


def histories_table(histories: Histories) -> pyarrow.Table:
    """Columns ``user``, ``items`` and ``ratings`` (lists)."""
    import pyarrow

    starts = pyarrow.array(histories.starts, pyarrow.int64())
    return pyarrow.table(
        {
            "user": pyarrow.array(histories.users, pyarrow.string()),
            "items": pyarrow.LargeListArray.from_arrays(starts, pyarrow.array(histories.items)),
            "ratings": pyarrow.LargeListArray.from_arrays(starts, pyarrow.array(histories.ratings)),
        }
    )


def histories_of(table: pyarrow.Table) -> Histories:
    """Histories from a table in the form of ``histories_table``."""
    lists = [table.column(name).combine_chunks() for name in ("items", "ratings")]
    places = [np.asarray(column.offsets) for column in lists]
    lengths, others = map(np.diff, places)
    if not np.array_equal(lengths, others) or any(column.null_count for column in lists):
        raise ValueError("its items do not have one rating each")
    # ``flatten`` would import ``pyarrow.compute``.
    items, ratings = (
        np.asarray(column.values)[at[0] : at[-1]] for column, at in zip(lists, places, strict=True)
    )
    return Histories(
        users=tuple(table.column("user").to_pylist()),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=items.astype(np.int32),
        ratings=ratings.astype(np.float32),
    )
