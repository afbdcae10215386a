"""Prepared data of texts, labels and lists of numbers, opened without TensorFlow Datasets.

Its import takes as long as all else that ``evaluate`` of a small model does. Whatever is not
exactly as ``DataWriter`` writes it is left to TensorFlow Datasets, which also finds what is wrong
with it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.features import ClassLabel, Tensor, Text

#: File names of a split, in the form of TensorFlow Datasets.
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}"
FILE_FORMAT = "array_record"
_CLASSES = "tensorflow_datasets.core.features."


@dataclass(frozen=True)
class StoredSplit:
    """The records of one split.

    Attributes:
        data_source: of the library ``array_record``.
    """

    data_source: Any

    def __len__(self) -> int:
        return len(self.data_source)


@dataclass(frozen=True)
class _Shard:
    """One file, in the form that ``array_record`` reads without opening it."""

    filename: str
    examples_in_shard: int
    take: int
    skip: int = 0


def plain_features(folder: Path, described: Mapping[str, Any]) -> dict[str, Any] | None:
    """The features of rows by name; None unless all are texts, labels or lists of numbers.

    Args:
        described: the content of features.json.
    """
    fields = described.get("featuresDict", {}).get("features", {})
    try:
        found = {name: _feature(folder, name, field) for name, field in fields.items()}
    except (OSError, UnicodeDecodeError, LookupError, TypeError, ValueError, AttributeError):
        return None
    return found if found and None not in found.values() else None


def plain_splits(
    folder: Path, info: Mapping[str, Any], rows: Mapping[str, int]
) -> dict[str, list[_Shard]] | None:
    """The files of each split; None if one is missing, or has another number of rows.

    Args:
        info: the content of dataset_info.json.
        rows: split -> rows, as in dataset.json.
    """
    if info.get("fileFormat") != FILE_FORMAT or info.get("name") != "data":
        return None
    found: dict[str, list[_Shard]] = {}
    for split in info["splits"]:
        lengths = split.get("shardLengths", [])
        name = split["name"]
        if split.get("filepathTemplate") != TEMPLATE or not all(map(str.isdecimal, lengths)):
            return None
        paths = [folder / f"data-{name}.{FILE_FORMAT}-{at:05}" for at in range(len(lengths))]
        counts = list(map(int, lengths))
        if os.sep in name or 0 in counts or not all(map(os.path.isfile, paths)):
            return None
        found[name] = [_Shard(str(path), n, n) for path, n in zip(paths, counts, strict=True)]
    sizes = {name: sum(shard.take for shard in shards) for name, shards in found.items()}
    return found if all(sizes.get(name) == count for name, count in rows.items()) else None


def open_split(shards: Sequence[_Shard]) -> StoredSplit:
    """The records of a split."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    return StoredSplit(ArrayRecordDataSource(shards))


@functools.cache
def example_class() -> Any:
    """``tf.train.Example``, made here: that of TensorFlow Datasets is a part of its import."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="aitk/example.proto", package="aitk", syntax="proto3"
    )

    def field(message: Any, name: str, number: int, kind: int, **more: Any) -> None:
        message.field.add(name=name, number=number, type=kind, **{"label": 1, **more})

    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    lists = (
        ("bytes_list", "BytesList", kinds.TYPE_BYTES),
        ("float_list", "FloatList", kinds.TYPE_FLOAT),
        ("int64_list", "Int64List", kinds.TYPE_INT64),
    )
    for number, (name, kind, of) in enumerate(lists, 1):
        field(file.message_type.add(name=kind), "value", 1, of, label=3)
        of_kind = {"type_name": f".aitk.{kind}", "oneof_index": 0}
        field(feature, name, number, kinds.TYPE_MESSAGE, **of_kind)
    file.message_type.append(feature)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    field(entry, "key", 1, kinds.TYPE_STRING)
    field(entry, "value", 2, kinds.TYPE_MESSAGE, type_name=".aitk.Feature")
    of_entry = {"type_name": ".aitk.Features.FeatureEntry", "label": 3}
    field(features, "feature", 1, kinds.TYPE_MESSAGE, **of_entry)
    example = file.message_type.add(name="Example")
    field(example, "features", 1, kinds.TYPE_MESSAGE, type_name=".aitk.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aitk.Example"))


def _feature(folder: Path, name: str, described: Mapping[str, Any]) -> Any:
    """The feature; None if it is of another kind."""
    kind, *details = sorted(described, key=lambda key: key != "pythonClassName")
    stored = described[kind].removeprefix(_CLASSES)
    if (stored, details) == ("text_feature.Text", ["text"]) and not described["text"]:
        return Text()
    if (stored, details) == ("class_label_feature.ClassLabel", ["classLabel"]):
        lines = (folder / f"{name}.labels.txt").read_text(encoding="utf-8").split("\n")
        names = [line.strip() for line in lines if line.strip()]
        whole = len(names) == int(described["classLabel"]["numClasses"])
        return ClassLabel(names) if whole else None
    if (stored, details) == ("tensor_feature.Tensor", ["tensor"]):
        tensor = described["tensor"]
        plain = {"encoding": "none", "shape": {"dimensions": ["-1"]}}
        if tensor == {"dtype": tensor["dtype"], **plain} and tensor["dtype"] in _NUMBERS:
            return Tensor(np.dtype(tensor["dtype"]))
    return None


_NUMBERS = ("int32", "int64", "float32")
