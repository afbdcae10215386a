"""A recording that the user's files name, before it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.names import find_file
from aitk.speech.data.kaldi_files import MatrixPlace
from aitk.speech.data.options import AudioReading

CLIPS = "clips"  # Common Voice: the folder of the recordings that its tables name


@dataclass(frozen=True, slots=True)
class Item:
    """Where a recording lies, and its annotation.

    Attributes:
        audio: its file; its samples (n,) or (n, channels) and their rate in hertz; or, where
            features were computed elsewhere, the place of the matrix (frames, columns).
        file: the user's file that names it.
        line: in that file, from 1.
        split: one of ``SPLITS``, or None.
        content: its text or its label, or None.
        labels: its labels, where rows have any number of them; else None.
        speaker: "" where nobody says.
        start_s: where it begins in its file.
        end_s: where it ends; None for the end of the file.
        channel: the only one to read, by number from 1; None for what the options say.
        name: identifies it among the user's.
        record: as it stood in the user's file.
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
    """The file that a manifest in ``folder`` means.

    Raises:
        DataError: there is no such file, or it lies outside of the folder and ``outside`` is not
            set: a manifest from elsewhere could name any file of this machine.
    """
    if not name:
        raise DataError("it names no recording")
    try:
        return find_file(name, folder, outside=reading.outside, of="manifest")
    except DataError:
        if not (folder / CLIPS).is_dir():
            raise
    return find_file(name, folder / CLIPS, outside=reading.outside, of="manifest")
