"""New rows of an update, and the rows that a run was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.artifacts.data import Rows
from aitk.core.contract.capabilities import Grouped
from aitk.core.contract.errors import DataError
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Task
from aitk.core.io.spool import dump_line
from aitk.stages.prepare import hash_position

HELD_OUT_SHARE = 0.2  # of the new rows, by hash of their key
MAX_WARNINGS = 20  # refused rows that are reported one by one


@dataclass(frozen=True)
class NewRows:
    """New rows with labels, split like all others by a hash of their key."""

    train: list[dict[str, Any]]
    held_out: list[dict[str, Any]]
    refused: int

    @property
    def fingerprint(self) -> str:
        """Names the rows and which of them are for training."""
        digest = hashlib.sha256()
        for rows in (self.train, self.held_out):
            for row in rows:
                digest.update(f"{dump_line(row, sort_keys=True)}\n".encode())
            digest.update(b"\0")
        return digest.hexdigest()[:16]


class Known(Sequence[dict[str, Any]]):
    """The rows a run was trained on: those of its data, read from disk, and those of updates."""

    def __init__(self, prepared: Rows, learned: list[dict[str, Any]]):
        self._prepared, self._learned = prepared, learned

    def __len__(self) -> int:
        return len(self._prepared) + len(self._learned)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        return self.take([index])[0]

    def take(self, indices: Iterable[int]) -> list[dict[str, Any]]:
        """Several rows, those of the data first."""
        numbers = np.fromiter(indices, dtype=int)
        first = len(self._prepared)
        prepared = self._prepared.take(numbers[numbers < first])
        return prepared + [self._learned[number - first] for number in numbers[numbers >= first]]


def read_new(
    task: Task,
    items: Iterable[Row | Refusal],
    inputs: Sequence[str],
    reporter: Reporter,
    *,
    hold_out: bool = True,
) -> NewRows:
    """The usable new rows; those that name no split are held out by a hash of their key.

    Args:
        hold_out: if not, all are for training.
    """
    train: list[dict[str, Any]] = []
    held_out: list[dict[str, Any]] = []
    refused = 0
    for item in reporter.track(items, "reading"):
        if isinstance(item, Refusal):
            refused += 1
            if refused <= MAX_WARNINGS:
                reporter.warn(f"{item.where}: {item.reason}")
            continue
        split = item.split
        if not isinstance(task, Grouped):
            held = hash_position(task.key(item.fields), 0) < HELD_OUT_SHARE
            split = "test" if held else "train"
        (train if split == "train" or not hold_out else held_out).append(dict(item.fields))
    if refused > MAX_WARNINGS:
        reporter.warn(f"{refused - MAX_WARNINGS:,} more rows were refused")
    if not train:
        raise DataError(
            "no usable new rows", where=", ".join(inputs), hint=f"{refused} rows were refused"
        )
    return NewRows(train, held_out, refused)


def replay(known: Known, count: int, *, seed: int) -> list[dict[str, Any]]:
    """A sample of the rows that the run was trained on."""
    rng = np.random.default_rng([seed, 1])
    return known.take(rng.permutation(len(known))[:count])


def latest(task: Task, rows: Known) -> Sequence[dict[str, Any]]:
    """All rows; of a grouped task the last one of each key, which replaces the others."""
    if not isinstance(task, Grouped):
        return rows
    return list({task.key(row): row for row in rows[:]}.values())
