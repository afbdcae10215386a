"""Recordings from TensorFlow Datasets: ``tfds:NAME`` or ``tfds:NAME/SPLIT``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Note
from aitk.core.io.names import split_named
from aitk.core.io.tables import find_column, usual_column
from aitk.core.io.tfds_source import PREFIX, open_tfds
from aitk.speech.data.formats.manifests import (
    AUDIO_COLUMNS,
    ID_COLUMNS,
    LABEL_COLUMNS,
    SPEAKER_COLUMNS,
    TEXT_COLUMNS,
)
from aitk.speech.data.items import Item
from aitk.speech.data.options import AudioReading

#: Usual sample rate of speech data sets that do not declare one.
USUAL_RATE_HZ = 16000


def read_tfds(
    source: str, reading: AudioReading, *, content: str | None, note: Note
) -> Iterator[Item | Refusal]:
    """The recordings of a data set, downloaded if necessary.

    Raises:
        DataError: the data set is unknown, or has no column of audio or of the required content.
    """
    options = {"text": "text_column", "label": "label_column"}
    usual = {"text": TEXT_COLUMNS, "label": LABEL_COLUMNS}
    for name, table in open_tfds(source):
        columns, where = table.columns, table.source
        audio = find_column(columns, reading.audio_column, AUDIO_COLUMNS, what="audio", where=where)
        due = None
        if content:
            wanted = getattr(reading, options[content], None)
            due = find_column(columns, wanted, usual[content], what=content, where=where)
        speaker = usual_column(columns, SPEAKER_COLUMNS)
        known = usual_column(columns, ID_COLUMNS)
        rate = _rate_of(source, audio)
        if rate is None:
            note(f"{where}: the sample rate is not declared, assuming {USUAL_RATE_HZ}")
        for item in table:
            if isinstance(item, Refusal):
                yield item
                continue
            number, record = item
            values = record.get(audio)
            value = record.get(due) if due else None
            if not isinstance(values, list) or not values:
                yield Refusal(where, number, "it has no samples")
            elif due and (value is None or not str(value).strip()):
                yield Refusal(where, number, f"its {due} is empty")
            else:
                yield Item(
                    audio=(_scaled(values), rate or USUAL_RATE_HZ),
                    file=where,
                    line=number,
                    split=split_named(name),
                    content=None if value is None else str(value),
                    speaker=str(record.get(speaker) or "") if speaker else "",
                    name=str(record.get(known) or "") if known else f"{name}-{number}",
                )


def _rate_of(source: str, audio: str) -> int | None:
    """The sample rate declared by the data set's feature."""
    import tensorflow_datasets as tfds

    name = source.removeprefix(PREFIX)
    try:
        builder = tfds.builder(name)
    except (ValueError, ImportError):  # open_tfds succeeded, so the last part is a split
        builder = tfds.builder(name.rpartition("/")[0])
    return getattr(builder.info.features[audio], "sample_rate", None)


def _scaled(values: list[Any]) -> np.ndarray:
    """Samples in [-1, 1] from 16-bit integers; fractions stay unchanged."""
    samples = np.array(values)
    if samples.dtype == object:
        raise DataError("a recording whose channels differ in length")
    if samples.dtype.kind in "iu":
        return (samples / 32768).astype(np.float32)
    return samples.astype(np.float32)
