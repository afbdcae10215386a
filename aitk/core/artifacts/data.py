"""Prepared data: a TensorFlow Datasets folder plus aitk's metadata.

This module alone defines the layout::

    dataset_info.json, features.json, data-SPLIT.array_record-*   (read by tfds alone)
    dataset.json    task, sources, rows, statistics, findings, versions; written last
    rejects.jsonl   every refused row: file, line, reason
    tables/         Parquet tables that rows refer to by number; only for some tasks
    report.html
    .aitk           marks folders written by aitk; see ``core.artifacts.marker``

Rows are stored as ArrayRecord: random access from disk, so that data may exceed memory, and reading
and writing without TensorFlow.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.artifacts.drafts import missing_hint, recover
from aitk.core.artifacts.number_rows import number_decoder
from aitk.core.artifacts.plain_rows import plain_decoder
from aitk.core.artifacts.record_encoder import RecordEncoder
from aitk.core.artifacts.stored_rows import (
    FILE_FORMAT,
    TEMPLATE,
    open_split,
    plain_features,
    plain_splits,
)
from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.contract.rows import SPLITS
from aitk.core.io.json_files import Count, check_shape, read_json
from aitk.core.io.names import check_text

FORMAT = 1
TABLES = "tables"
ROWS_PER_SHARD = 100_000
ROWS_AT_ONCE = 64  # a row may be an image
LONGEST_REASON = 200  # characters of a library's message
FEATURES, INFO = "features.json", "dataset_info.json"
#: The modules of the classes that store rows: loading a file imports nothing else.
FEATURE_CLASSES = "tensorflow_datasets.core.features."

#: The shapes of dataset.json and of tfds' files, as far as they are used.
MANIFEST = {
    "version?": Count,
    "task": str,
    "reading": dict,
    "summary": {
        "labels?": [str],
        "label_counts?": {str: {str: Count}},
        "label_sets?": {str: [str]},
        "protocol?": str,
        "sampled_negatives?": Count,
        "characters?": {str: Count},
    },
    "fingerprint": str,
    "rows": {str: Count},
}
INFO_SHAPE = {"splits": [{"name": str, "filepathTemplate?": str, "shardLengths?": [str]}]}


@dataclass(frozen=True)
class PreparedData:
    """A prepared data folder, read only."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def task(self) -> str:
        return self.manifest["task"]

    @property
    def reading(self) -> dict[str, Any]:
        """The options with which rows were read and cleaned."""
        return dict(self.manifest["reading"])

    @property
    def summary(self) -> dict[str, Any]:
        """Statistics of the rows; ``labels`` are those of the training split."""
        return dict(self.manifest["summary"])

    @property
    def fingerprint(self) -> str:
        """An identifier of the rows and their splits: equal for equal data."""
        return self.manifest["fingerprint"]

    @property
    def splits(self) -> dict[str, int]:
        """Split name -> number of rows, without empty splits."""
        return dict(self.manifest["rows"])

    def rows(self, split: str) -> Rows:
        """The rows of one split, in the order of the sources."""
        if split not in self.splits:
            raise DataError(
                f"no {split} split",
                where=str(self.folder),
                hint=f"It has: {', '.join(self.splits)}",
            )
        if self._plain is not None:
            features, shards = self._plain
            return Rows(open_split(shards[split]), features, where=str(self.folder))
        return Rows(self._builder.as_data_source(split), where=str(self.folder))

    def held_out(self, wanted: str = "test") -> str:
        """The split for evaluation: the wanted one, or validation instead."""
        for split in (wanted, "validation", "test"):
            if split in self.splits:
                return split
        raise DataError(
            "has no validation or test rows",
            where=str(self.folder),
            hint="Prepare it again with --split 80/10/10",
        )

    @property
    def tables(self) -> Path:
        """The folder of the tables that rows refer to."""
        return self.folder / TABLES

    @functools.cached_property
    def _plain(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The features and the files of each split; None where they need TensorFlow Datasets."""
        info = read_json(self.folder / INFO, INFO_SHAPE)
        features = plain_features(self.folder, read_json(self.folder / FEATURES))
        shards = plain_splits(self.folder, info, self.splits)
        if features is None or shards is None:
            return None
        names = set().union(*(getattr(each, "names", ()) for each in features.values()))
        complete = not names or _labels_of(self.summary) <= names
        return (features, shards) if complete else None

    @functools.cached_property
    def _builder(self) -> Any:
        read_json(self.folder / INFO, INFO_SHAPE)
        _check_classes(read_json(self.folder / FEATURES), where=str(self.folder / FEATURES))
        import tensorflow_datasets as tfds
        from google.protobuf.json_format import ParseError

        try:
            builder = tfds.builder_from_directory(str(self.folder))
            found = {name: split.num_examples for name, split in builder.info.splits.items()}
            files = [path for split in builder.info.splits.values() for path in split.filepaths]
            names = _class_names(builder.info.features)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ParseError) as error:
            raise _damaged(self.folder, error) from error
        if builder.info.file_format.value != FILE_FORMAT:
            raise ArtifactError(f"its rows are not stored as {FILE_FORMAT}", where=str(self.folder))
        for name, count in self.splits.items():
            if found.get(name) != count:
                raise ArtifactError(
                    f"dataset.json has {count} {name} rows, but {INFO} {found.get(name)}",
                    where=str(self.folder),
                    hint="Prepare it again",
                )
        for path in map(Path, files):
            if path.parent != self.folder or not os.path.isfile(path):
                raise ArtifactError(f"{path.name} is missing", where=str(self.folder))
        missing = sorted(_labels_of(self.summary) - names) if names else []
        if missing:
            raise ArtifactError(f"its class names lack {missing[0]!r}", where=str(self.folder))
        return builder


class Rows(Sequence[dict[str, Any]]):
    """The rows of one split as a sequence, decoded from disk on access.

    Args:
        source: the records, of TensorFlow Datasets or a ``StoredSplit``.
        features: of the rows, by name; None: those of the source.
        where: the folder, for errors.
    """

    def __init__(self, source: Any, features: Mapping[str, Any] | None = None, *, where: str):
        self._source, self._where = source, where
        features = source.dataset_info.features if features is None else features
        self._decoders = {name: _decoder(feature) for name, feature in features.items()}
        self._decode_record = plain_decoder(features) or number_decoder(features)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of each row."""
        return tuple(self._decoders)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.take([index % len(self)])[0]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every row in order, read in blocks: each read starts a thread pool."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from self.take(range(start, min(start + ROWS_AT_ONCE, len(self))))

    def take(self, indices: Iterable[int]) -> list[dict[str, Any]]:
        """Several rows at once, much faster than one by one.

        Raises:
            ArtifactError: the files are damaged (parts have checksums).
        """
        from google.protobuf.message import DecodeError

        numbers = [int(index) for index in indices]
        decode = self._decode_record
        try:
            if decode is not None:
                records = self._source.data_source.__getitems__(numbers) if numbers else []
                return [decode(record) for record in records]
            return [self._decoded(row) for row in self._source.__getitems__(numbers)]
        except (
            OSError,
            RuntimeError,
            ValueError,
            TypeError,
            LookupError,
            ArithmeticError,
            AttributeError,
            DecodeError,
        ) as error:
            raise _damaged(self._where, error) from error

    def _decoded(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: decode(row[name]) for name, decode in self._decoders.items()}


def load_data(folder: Path | str) -> PreparedData:
    """Open a prepared data folder and check that it is complete."""
    folder = Path(folder)
    check_text(folder)
    if not os.path.exists(folder):
        recover(folder)
    if not os.path.exists(folder):
        hint = missing_hint(folder)
        hint = hint or f"Create it with: aitk DOMAIN prepare FILES --task TASK --out {folder}"
        raise ArtifactError("no such prepared data", where=str(folder), hint=hint)
    if not (folder / "dataset.json").is_file():
        raise ArtifactError(
            "not prepared data: it has no dataset.json",
            where=str(folder),
            hint=f"Run: aitk DOMAIN prepare {folder} --task TASK --out DATA",
        )
    path = folder / "dataset.json"
    manifest = read_json(path)
    check_shape(manifest, {"version?": Count}, where=str(path))
    if manifest.get("version", 0) > FORMAT:
        raise ArtifactError("written by a newer aitk", where=str(folder), hint="Update aitk")
    check_shape(manifest, MANIFEST, where=str(path))
    return PreparedData(folder, manifest)


class DataWriter:
    """Writes rows into the splits of a TensorFlow Datasets folder, in the order given.

    The files are those of ``tfds.core.SequentialWriter``, which rewrites the description of all
    splits with every call, and compresses each record by itself: this makes short texts a sixth
    smaller, three times as slow to write and twice as slow to read.
    """

    def __init__(self, folder: Path, features: Mapping[str, Any], *, description: str):
        import tensorflow_datasets as tfds

        self._encoder = RecordEncoder(features)
        identity = tfds.core.DatasetIdentity(
            name="data",
            version=tfds.core.Version("1.0.0"),
            data_dir=str(folder),
            module_name="aitk",
        )
        self._info = tfds.core.DatasetInfo(
            builder=identity,
            description=description,
            features=self._encoder.features,
        )
        self._info.set_file_format(file_format=FILE_FORMAT)
        self._folder = folder
        self._options = "group_size:1" + (",uncompressed" if self._encoder.is_plain else "")
        self._splits: dict[str, _SplitWriter] = {}

    def write(self, split: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a split."""
        self.append(split, self._encoder.records(rows))

    def append(self, split: str, records: Iterable[bytes]) -> None:
        """Append rows that a ``RecordEncoder`` of the same features has encoded."""
        if split not in self._splits:
            self._splits[split] = _SplitWriter(self._folder, split, self._options)
        self._splits[split].add(records)

    def close(self) -> None:
        """Complete every split; afterwards the folder can be read."""
        from tensorflow_datasets.core.splits import SplitDict

        writers = [self._splits[split] for split in SPLITS if split in self._splits]
        self._info.set_splits(SplitDict([writer.finish() for writer in writers]))
        self._info.write_to_directory(self._folder)


class _SplitWriter:
    """The shards of one split."""

    def __init__(self, folder: Path, split: str, options: str):
        import tensorflow_datasets as tfds

        self._split, self._options = split, options
        self._template = tfds.core.ShardedFileTemplate(
            dataset_name="data",
            data_dir=folder,
            split=split,
            filetype_suffix=FILE_FORMAT,
            template=TEMPLATE,
        )
        self._lengths: list[int] = []
        self._bytes = 0
        self._shard: Any = None

    def add(self, records: Iterable[bytes]) -> None:
        """Append records, to a new shard where the last one is full."""
        source = iter(records)
        while True:
            left = ROWS_PER_SHARD - self._lengths[-1] if self._shard is not None else ROWS_PER_SHARD
            some = list(itertools.islice(source, min(left, ROWS_AT_ONCE)))
            if not some:
                return
            write = (self._shard or self._open_shard()).write
            for record in some:
                write(record)
            self._lengths[-1] += len(some)
            self._bytes += sum(map(len, some))
            if self._lengths[-1] == ROWS_PER_SHARD:
                self._close_shard()

    def _open_shard(self) -> Any:
        from array_record.python.array_record_module import ArrayRecordWriter

        path = self._template.sharded_filepath(shard_index=len(self._lengths), num_shards=None)
        self._shard = ArrayRecordWriter(os.fspath(path), self._options)
        self._lengths.append(0)
        return self._shard

    def finish(self) -> Any:
        """Close the last shard; the split's ``SplitInfo``."""
        import tensorflow_datasets as tfds

        self._close_shard()
        return tfds.core.SplitInfo(
            name=self._split,
            shard_lengths=self._lengths,
            num_bytes=self._bytes,
            filename_template=self._template,
        )

    def _close_shard(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


def _damaged(folder: Path | str, error: Exception) -> ArtifactError:
    reason = str(error).strip().partition("\n")[0][:LONGEST_REASON] or type(error).__name__
    return ArtifactError(f"damaged data ({reason})", where=str(folder), hint="Prepare it again")


def _check_classes(described: Mapping[str, Any], *, where: str) -> None:
    """Refuse feature classes that tfds does not define: it would import their modules."""
    for name, value in described.items():
        if name == "pythonClassName" and not str(value).startswith(FEATURE_CLASSES):
            raise ArtifactError(f"names a class that is not part of tfds ({value!r})", where=where)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                _check_classes(each, where=where)


def _class_names(feature: Any) -> set[str]:
    """The names of the classes of all labels in a row.

    Raises:
        ValueError: a label does not have as many names as classes.
    """
    inner = feature.values() if hasattr(feature, "values") else [getattr(feature, "feature", None)]
    names = set().union(*(_class_names(each) for each in inner if each is not None))
    if type(feature).__name__ == "ClassLabel":
        if len(feature.names) != feature.num_classes:
            raise ValueError(f"{len(feature.names)} names for {feature.num_classes} classes")
        names |= set(feature.names)
    return names


def _labels_of(summary: Mapping[str, Any]) -> set[str]:
    return set(summary.get("labels", ())).union(*summary.get("label_sets", {}).values())


def _decoder(feature: Any) -> Any:
    """The function that converts a stored value back to the JSON value of the task."""
    kind = type(feature).__name__
    if kind == "Text":
        return lambda value: value.decode("utf-8")
    if kind == "ClassLabel":
        names = feature.names
        return lambda value: names[int(value)]
    if kind == "Scalar":
        # For float64, tfds returns a plain number.
        return lambda value: getattr(value, "item", lambda: value)()
    if kind == "Sequence" and type(feature.feature).__name__ in ("Text", "ClassLabel"):
        decode_one = _decoder(feature.feature)
        return lambda values: [decode_one(value) for value in values]
    return lambda value: value
