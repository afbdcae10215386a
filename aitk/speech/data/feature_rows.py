"""Rows with precomputed features in place of audio.

The field ``audio`` of such a row is a Kaldi matrix (frames, columns) instead of a FLAC file.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.speech.data.audio import refuse_length
from aitk.speech.data.formats.kaldi_files import MatrixPlace, encode_matrix, matrix_columns
from aitk.speech.data.items import Item
from aitk.speech.data.options import AudioReading

MOST_COLUMNS = 4096
#: Reading options that modify or check a waveform.
_WAVEFORM_OPTIONS = (
    "channel", "min_level_dbfs", "max_clipped", "min_voiced", "remove_dc", "reduce_noise_db",
    "component", "trim_silence", "loudness_dbfs",
)  # fmt: skip


def feature_rows(
    item: Item,
    place: MatrixPlace,
    reading: AudioReading,
    fields: Mapping[str, Any],
    *,
    split: str | None,
    kinds: Counter[str],
) -> Iterator[Row | Refusal]:
    """The row of one utterance; unlabelled ones are split by ``max_seconds``.

    Args:
        fields: the label or text, if required.
        kinds: counts the kinds of input.

    Raises:
        UsageError: an option modifies or checks a waveform.
    """
    refuse_waveform_options(reading)
    shift_s = reading.feature_shift_ms / 1000
    try:
        matrix = _checked(place.read())
        first, last = _frames(item, len(matrix), shift_s)
        seconds = (last - first) * shift_s
        if seconds < reading.min_seconds:
            raise DataError(
                f"lasts {seconds:.3f} s, below the minimum of {reading.min_seconds:g} s"
                " (--min-seconds)"
            )
        if fields and seconds > reading.max_seconds + shift_s / 2:
            refuse_length(seconds, reading.max_seconds)
    except DataError as error:
        yield Refusal(item.file, item.line, f"{place.archive.name}: {error.what}")
        return
    kinds[f"features of {matrix.shape[1]} columns"] += 1
    longest = max(1, round(reading.max_seconds / shift_s))
    for start in range(first, last, longest):
        piece = matrix[start : min(start + longest, last)]
        name, record, start_s = item.name, dict(item.record), start * shift_s
        if last - first > longest:
            name = f"{item.name}-{round(start_s * 100):07}"
            end_s = start_s + len(piece) * shift_s
            record |= {"start": round(start_s, 3), "end": round(end_s, 3)}
        row = {
            "audio": encode_matrix(piece),
            **fields,
            "speaker": item.speaker,
            "seconds": round(len(piece) * shift_s, 4),
            "id": name,
            "start": round(start_s, 4),
        }
        yield Row(row, item.file, item.line, split, {} if fields else record)


def refuse_waveform_options(reading: AudioReading) -> None:
    """Refuse reading options that need a waveform, for rows with features.

    Raises:
        UsageError: such an option differs from its default.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(AudioReading)}
    for name in _WAVEFORM_OPTIONS:
        if getattr(reading, name) != defaults[name]:
            raise UsageError(
                "needs audio, but the rows have precomputed features",
                where="--" + name.replace("_", "-"),
                hint="Leave it out, or read the audio (wav.scp)",
            )


class SameKind:
    """Checks that all rows have audio, or all have features with the same number of columns."""

    def __init__(self) -> None:
        self._columns: int | None = None

    def problem(self, audio: bytes) -> str | None:
        """Why a row does not match the first one, or None."""
        columns = matrix_columns(audio)
        if self._columns is None:
            self._columns = columns
        if columns == self._columns:
            return None
        return f"has {describe_kind(columns)}, but the first row has {describe_kind(self._columns)}"


def describe_kind(columns: int) -> str:
    """The content of a row, from the columns of its features."""
    return f"features with {columns} columns" if columns else "audio"


def _checked(matrix: np.ndarray) -> np.ndarray:
    if matrix.ndim != 2:
        raise DataError("is a vector, not a matrix (frames, columns)")
    if not 1 <= matrix.shape[1] <= MOST_COLUMNS:
        raise DataError(f"has {matrix.shape[1]} columns; 1 to {MOST_COLUMNS} are supported")
    if not len(matrix):
        raise DataError("has no frames")
    if not np.isfinite(matrix).all():
        raise DataError("some of its values are not finite (NaN or infinite)")
    return matrix


def _frames(item: Item, count: int, shift_s: float) -> tuple[int, int]:
    """The first frame of an utterance in its matrix, and the one after its end."""
    first = round(item.start_s / shift_s)
    last = count if item.end_s is None else min(count, round(item.end_s / shift_s))
    if not 0 <= first < last:
        raise DataError(
            f"has {count} frames and cannot be cut from {item.start_s:g} s to {item.end_s} s"
        )
    return first, last
