"""What the tasks on a log of interactions share: reading, rows, assets, batches, models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Batch, Embed, Example, Finding, Inspector, Task
from aitk.recsys.data.options import LogReading
from aitk.recsys.data.reading import read_events, read_queries
from aitk.recsys.data.sources import complete_reading
from aitk.recsys.data.splitting import Arranger
from aitk.recsys.data.stored import ITEM_TABLE
from aitk.recsys.features.assets import LogAssets, check_catalogue, load_log_assets
from aitk.recsys.features.batching import collate_rows, encode_row
from aitk.recsys.features.learning import BATCHES, extend_assets, learn_assets
from aitk.recsys.features.vectors import add_vectors, before_first_row
from aitk.recsys.tasks.building import build_model, grow_model, solve_model

if TYPE_CHECKING:
    import keras

    from aitk.core.artifacts.pretrained import Pretrained
    from aitk.core.contract.progress import Reporter


class LogTask(Task):
    """Events are read one by one, and arranged into a row a user and split."""

    splits_by_key = False
    distils = False
    content = "item"
    #: Whether events must carry ratings.
    rated = False

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._found: LogReading | None = None
        self._findings: list[Finding] = []
        self._arranger: Arranger | None = None

    def read(
        self, sources: Sequence[str], reading: LogReading, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        if labelled:
            self._found = complete_reading(sources, reading, notes=self._notes)
            return read_events(sources, reading, notes=self._notes, findings=self._findings)
        return read_queries(sources, reading, notes=self._notes)

    def reading_notes(self) -> list[str]:
        notes, self._notes[:] = list(self._notes), []
        return notes

    def arrange(
        self,
        items: Iterator[Row | Refusal],
        reading: LogReading,
        *,
        shares: Mapping[str, float],
        seed: int,
        tables: Path,
        embed: Embed,
        reporter: Reporter,
    ) -> Iterator[Row | Refusal]:
        self._arranger = Arranger(
            self._found or reading, rated=self.rated, notes=self._notes, found=self._findings
        )
        rows = self._arranger.rows(items, shares=shares, seed=seed, tables=tables)
        return before_first_row(
            rows, lambda: add_vectors(tables / ITEM_TABLE, reading.encoders, embed, reporter)
        )

    def key(self, fields: Mapping[str, Any]) -> str:
        targets = np.asarray(fields.get("targets", ()), np.int64)
        if not len(targets):
            return fields["user"]
        # Held-out rows are alike only if the same was to be found from the same.
        told = np.concatenate([np.asarray(fields["items"], np.int64), [-1], targets])
        return f"{fields['user']} {hashlib.sha256(told.tobytes()).hexdigest()[:16]}"

    def inspector(self, reading: LogReading) -> Inspector:
        if self._arranger is None:
            raise RuntimeError("rows are inspected before they were arranged")
        return self._arranger

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        def column(dtype: Any) -> Any:
            return tfds.features.Tensor(shape=(None,), dtype=dtype)

        return {
            "user": tfds.features.Text(),
            "items": column(np.int32),
            "ratings": column(np.float32),
            "times": column(np.int64),
            "seen": column(np.int32),
            "targets": column(np.int32),
            "target_ratings": column(np.float32),
        }

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.recsys.tasks.transfer import adopt

        return adopt(found)

    def learn(
        self,
        rows: Sequence[Mapping[str, Any]],
        summary: Mapping[str, Any],
        settings: Any,
        *,
        start: Pretrained | None = None,
        balance: bool = False,
        tables: Path | None = None,
    ) -> LogAssets:
        model = next(name for name, kind in self.models.items() if kind is type(settings))
        return learn_assets(
            rows,
            summary,
            settings,
            model=model,
            batches="ratings" if self.rated else BATCHES.get(model, ""),
            start=start,
            tables=tables,
        )

    def load_assets(self, folder: Path) -> LogAssets:
        return load_log_assets(folder)

    def check_tables(self, tables: Path, assets: LogAssets) -> None:
        check_catalogue(tables / ITEM_TABLE, assets)

    def fill(self, found: Pretrained, model: keras.Model, assets: LogAssets) -> Pretrained:
        from aitk.recsys.tasks.transfer import take_over

        return take_over(found, model, assets)

    def extend(
        self,
        items: Iterator[Row | Refusal],
        assets: LogAssets,
        known: Sequence[Mapping[str, Any]],
        *,
        reading: LogReading,
    ) -> tuple[LogAssets, Iterator[Row | Refusal]]:
        return extend_assets(items, assets, known, reading=reading)

    def encode(self, fields: Mapping[str, Any], assets: LogAssets) -> Example:
        return encode_row(fields, assets)

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

    def build(
        self, model: str, settings: Any, assets: LogAssets, *, backbone: Any = None
    ) -> keras.Model:
        # What a pretrained backbone knows belongs to its own catalogue: ``fill`` takes it over.
        del backbone
        return build_model(settings, assets)

    def solve(
        self,
        model: str,
        settings: Any,
        assets: LogAssets,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        reporter: Reporter,
    ) -> keras.Model | None:
        return solve_model(settings, assets, rows, seed=seed)

    def prune(self, model: keras.Model, share: float) -> keras.Model | None:
        from aitk.recsys.models.closed_form.pruning import prune_solved

        return prune_solved(model, share=share)

    def grow(
        self, model: keras.Model, name: str, settings: Any, *, old: LogAssets, new: LogAssets
    ) -> keras.Model:
        return grow_model(model, settings, old=old, new=new)
