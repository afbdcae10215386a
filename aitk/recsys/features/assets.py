"""What a recommender needs besides its weights: the catalogue, the users, what they did."""

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
    """All that each user did, oldest first, in compact columns.

    Attributes:
        users: ids, in the order of the rows below.
        starts: (users + 1,) where each user's part begins.
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
        """Items and ratings of a user; empty where nothing is known."""
        number = self.numbers.get(user)
        if number is None:
            return self.items[:0], self.ratings[:0]
        part = slice(self.starts[number], self.starts[number + 1])
        return self.items[part], self.ratings[part]

    def with_events(self, new: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Histories:
        """These histories, some users' replaced or added: user -> items, ratings."""
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
        attributes: the items with their attributes, column ``item`` first; a row's number is the
            item's number.
        kinds: attribute -> text, tags, number, picture, audio or vector.
        users: ids of the users of the training rows: the first is user 1 of the model.
        histories: all that is known of every user, for predictions.
        counts: (items,) training events of each item.
        protocol: how rows were held out, in words.
        sampled_negatives: among how many random items a held-out one is ranked as well.
        max_length: latest items of a history that the model reads, or None for all.
        rating_range: lowest and highest rating in training.
        rating_mean: their mean.
        rating_deviation: their standard deviation.
        model: which of the task's models they belong to.
        settings: its settings.
        batches: how its training batches are made, see ``batching``; ``ratings`` wherever ratings
            are learned, empty for a recommender that is computed.
        rating_biases: of users and of items, how far their training ratings lie from the mean, for
            models that start from there. Not saved.
        renumbered: (items,) numbers in the catalogue of the weights it starts from, -1 where an
            item is new; None without such weights. Not saved.
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
        """Whether ratings are what is learned, or choices."""
        return self.batches == "ratings"

    @cached_property
    def items(self) -> list[str]:
        """Item ids in the order of their numbers."""
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
        """(items, d) all features side by side, sparse; None where the items have none."""
        from scipy import sparse

        from aitk.recsys.features.item_features import item_features

        features = item_features(self.attributes, self.kinds)
        return sparse.hstack(list(features.values()), format="csr") if features else None

    @cached_property
    def titles(self) -> list[str | None] | None:
        """What people call the items: their first text, where they have one."""
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
    """Read what ``LogAssets.save`` wrote.

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
        raise ArtifactError("its ratings or lengths have no range", where=str(folder / FILE))
    return LogAssets(
        attributes=attributes,
        kinds=kinds,
        histories=read_histories(folder / HISTORIES, items=len(attributes)),
        counts=_read_counts(folder / COUNTS, items=len(attributes)),
        **{**values, "users": tuple(values["users"]), "rating_range": (low, high)},
    )


def read_histories(path: Path, *, items: int) -> Histories:
    """Read what users did, from a table as of ``histories_table``.

    Args:
        items: how many the catalogue holds.

    Raises:
        ArtifactError: it is missing or damaged, or an item is not in the catalogue.
    """
    table, _ = read_table(path)
    try:
        histories = histories_of(table)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(path)) from error
    if len(histories.starts) != len(histories.users) + 1 or None in histories.users:
        raise ArtifactError("a user has no name", where=str(path))
    check_items(histories.items, items, where=str(path))
    return histories


def check_items(numbers: Sequence[int] | np.ndarray, items: int, *, where: str) -> None:
    """Raise an ``ArtifactError`` unless these are numbers of a catalogue of so many items."""
    if len(numbers) and not 0 <= np.min(numbers) <= np.max(numbers) < items:
        raise ArtifactError(
            f"names items that are not among the {items} of the catalogue", where=where
        )


def _read_counts(path: Path, *, items: int) -> np.ndarray:
    try:
        # A mapped file cannot be larger than it is, whatever its header says.
        counts = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError, OverflowError, EOFError) as error:
        raise ArtifactError(f"is damaged ({error})", where=str(path)) from error
    if counts.shape != (items,) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ArtifactError(f"does not count the {items} items of the catalogue", where=str(path))
    return counts


def check_catalogue(path: Path, assets: LogAssets) -> None:
    """Raise an ``ArtifactError`` unless the items of this table have the numbers of the assets'.

    One of the two may go on where the other ends.
    """
    items = read_catalogue(path)[0].column("item").to_pylist()
    shared = min(len(items), len(assets.items))
    if items[:shared] != assets.items[:shared]:
        raise ArtifactError(
            "its items are not numbered as those that the model knows",
            where=str(path),
            hint="Judge the model on data prepared from the log it was trained on",
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
    """Histories from a table with the columns of ``histories_table``."""
    lists = [table.column(name).combine_chunks() for name in ("items", "ratings")]
    lengths, others = (np.diff(np.asarray(column.offsets)) for column in lists)
    if not np.array_equal(lengths, others):
        raise ValueError("its items have not a rating each")
    items, ratings = (np.asarray(column.flatten()) for column in lists)
    return Histories(
        users=tuple(table.column("user").to_pylist()),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        items=items.astype(np.int32),
        ratings=ratings.astype(np.float32),
    )
