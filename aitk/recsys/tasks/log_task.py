"""Common base of the tasks on a log of interactions: reading, rows, assets, batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aitk.core.contract.capabilities import Embed
from aitk.core.contract.features import Tensor, Text
from aitk.core.contract.progress import Reporter
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Example, Finding, Note, Task
from aitk.recsys.data.options import LogReading
from aitk.recsys.data.queries import read_queries
from aitk.recsys.data.reading import read_event_batches, read_events
from aitk.recsys.data.sources import complete_reading
from aitk.recsys.data.splitting import GroupedLog
from aitk.recsys.data.tables import ITEM_TABLE
from aitk.recsys.features.assets import LogAssets, check_catalogue, load_log_assets
from aitk.recsys.features.batching import collate_rows, encode_row
from aitk.recsys.features.learning import extend_assets, learn_assets
from aitk.recsys.features.vectors import add_vectors
from aitk.recsys.models.specs import ClosedFormRecommender, TrainedRecommender


class LogTask(Task[LogAssets]):
    """Events are read one by one, and grouped into one row per user and split."""

    models: ClassVar[Mapping[str, ClosedFormRecommender[Any] | TrainedRecommender[Any]]]
    #: Whether events must carry ratings.
    rated: ClassVar[bool] = False

    def read(
        self, sources: Sequence[str], reading: LogReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        """Events of a log; with ``labelled=False``, queries."""
        read = read_events if labelled else read_queries
        return read(sources, reading, note=note)

    def group(
        self,
        sources: Sequence[str],
        reading: LogReading,
        *,
        shares: Mapping[str, float],
        seed: int,
        tables: Path,
        embed: Embed,
        note: Note,
        reporter: Reporter,
    ) -> GroupedLog:
        found: list[Finding] = []
        reading = complete_reading(sources, reading, note=note)
        return GroupedLog(
            read_event_batches(sources, reading, note=note, findings=found),
            reading,
            rated=self.rated,
            shares=shares,
            seed=seed,
            tables=tables,
            note=note,
            found=found,
            show=lambda events: reporter.update("reading", events, None),
            complete=lambda: add_vectors(tables / ITEM_TABLE, reading.encoders, embed, reporter),
        )

    def key(self, fields: Mapping[str, Any]) -> str:
        targets = np.asarray(fields.get("targets", ()), np.int64)
        if not len(targets):
            return fields["user"]
        # Held-out rows are equal only if both history and targets are.
        numbers = np.concatenate([np.asarray(fields["items"], np.int64), [-1], targets])
        return f"{fields['user']} {hashlib.sha256(numbers.tobytes()).hexdigest()[:16]}"

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "user": Text(),
            "items": Tensor(np.int32),
            "ratings": Tensor(np.float32),
            "times": Tensor(np.int64),
            "seen": Tensor(np.int32),
            "targets": Tensor(np.int32),
            "target_ratings": Tensor(np.float32),
        }

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Any = None,
        balance: bool = False,
        tables: Path | None = None,
        note: Note,
    ) -> LogAssets:
        name, spec = next(
            (name, spec) for name, spec in self.models.items() if spec.settings is type(settings)
        )
        return learn_assets(
            rows,
            summary,
            settings,
            model=name,
            batches="ratings" if self.rated else spec.batches,
            start=start,
            tables=tables,
        )

    def load_assets(self, folder: Path) -> LogAssets:
        return load_log_assets(folder)

    def check_tables(self, tables: Path, assets: LogAssets) -> None:
        check_catalogue(tables / ITEM_TABLE, assets)

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: LogAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: LogReading,
    ) -> tuple[LogAssets, Iterator[Row | Refusal]]:
        return extend_assets(items, assets, known, reading=reading)

    def encode(self, rows: Sequence[Mapping[str, Any]], assets: LogAssets) -> list[Example]:
        return [encode_row(row, assets) for row in rows]

    def length(self, example: Example) -> int:
        return len(example.inputs["items"])

    def collate(
        self,
        examples: Sequence[Example],
        assets: LogAssets,
        *,
        rng: np.random.Generator | None = None,
        pad_to: int | None = None,
    ) -> Batch:
        return collate_rows(examples, assets, rng=rng, pad_to=pad_to)
