"""A recording named in the user's files, before it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.names import find_file
from aitk.speech.data.formats.kaldi_files import MatrixPlace
from aitk.speech.data.options import AudioReading

#: The required annotation of rows.
Content = Literal["text", "label"]
CLIPS = "clips"  # Common Voice: folder of the recordings in its tables


@dataclass(frozen=True, slots=True)
class Item:
    """A recording and its annotation.

    Attributes:
        audio: its file; its samples (n,) or (n, channels) and their rate in hertz; or the place of
            the matrix (frames, columns) of precomputed features.
        file: the user's file that lists it.
        line: line in that file, from 1.
        split: one of ``SPLITS``, or None.
        content: its text or its label, or None.
        labels: its labels for multi-label data, else None.
        speaker: its speaker, "" if unknown.
        start_s: its start in the file.
        end_s: its end; None for the end of the file.
        channel: the only channel to read, by number from 1; None: by the options.
        name: identifies it among the sources.
        record: the original record from the user's file.
    """

    audio: Path | tuple[np.ndarray, int] | MatrixPlace
    file: str
    line: int
    split: str | None = None
    content: str | None = None
    labels: Sequence[str] | None = None
    speaker: str = ""
    start_s: float = 0.0
    end_s: float | None = None
    channel: str | None = None
    name: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


def locate(name: str, folder: Path, reading: AudioReading) -> Path:
    """The file that a manifest in ``folder`` refers to.

    Raises:
        DataError: the file is missing, or is outside the folder and ``outside`` is not set: an
            untrusted manifest could name any file on this machine.
    """
    if not name:
        raise DataError("it names no recording")
    try:
        return find_file(name, folder, outside=reading.outside, of="manifest")
    except DataError:
        if not (folder / CLIPS).is_dir():
            raise
    return find_file(name, folder / CLIPS, outside=reading.outside, of="manifest")
