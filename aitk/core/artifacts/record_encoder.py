"""Rows to the records that are stored of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aitk.core.artifacts.number_rows import number_encoder
from aitk.core.artifacts.plain_rows import plain_encoder
from aitk.core.contract.features import as_tfds


class RecordEncoder:
    """Encodes rows as they are stored.

    Args:
        features: of a row, as ``Task.features`` gives them.
    """

    def __init__(self, features: Mapping[str, Any]):
        self._given = features
        plain = plain_encoder(features)
        self.is_plain = plain is not None
        self._encode = plain or self._repeatable
        self._encode_all = None if self.is_plain else number_encoder(self.features)

    @functools.cached_property
    def features(self) -> Any:
        """The same of TensorFlow Datasets, which records of texts and labels do not need."""
        import tensorflow_datasets as tfds

        return tfds.features.FeaturesDict(
            {name: as_tfds(feature) for name, feature in self._given.items()}
        )

    def records(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[bytes]:
        """The record of each row."""
        if self._encode_all is not None:
            return self._encode_all(rows)
        return map(self._encode, rows)

    @functools.cached_property
    def _serializer(self) -> Any:
        from tensorflow_datasets.core.example_serializer import ExampleSerializer

        return ExampleSerializer(self.features.get_serialized_info())

    def _repeatable(self, row: Mapping[str, Any]) -> bytes:
        """The record of TensorFlow Datasets, whose own ``serialize_example`` orders fields as they
        come."""
        example = self._serializer.get_tf_example(self.features.encode_example(row))
        record: bytes = example.SerializeToString(deterministic=True)
        return record
