"""Common base of the audio tasks: reading, keys, inspection and storage of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import AssetsT, Note, Task
from aitk.speech.data.audio import content_key
from aitk.speech.data.item_rows import Content
from aitk.speech.data.options import AudioReading
from aitk.speech.data.quality import AudioInspector
from aitk.speech.data.reading import notes_on_kinds, read_audio_records, read_audio_rows


class AudioTask(Task[AssetsT]):
    """Rows are recordings with ``audio``, ``speaker``, ``seconds`` and ``id``."""

    #: See ``Embeddable``.
    content = "audio"
    #: The content field of rows: a text, a label, or neither.
    annotation: ClassVar[Content | None] = None

    def read(
        self, sources: Sequence[str], reading: AudioReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_audio_rows(
            sources,
            reading,
            content=self.annotation,
            labelled=labelled,
            note=note,
            check=(lambda fields: self.check_row(fields, reading)) if labelled else None,
        )

    def read_records(
        self,
        sources: Sequence[str],
        reading: AudioReading,
        *,
        note: Note,
        wanted: Callable[[int], bool],
    ) -> Iterator[tuple[int, Row | Refusal]]:
        self._kinds: Counter[str] = Counter()
        return read_audio_records(
            sources,
            reading,
            content=self.annotation,
            labelled=True,
            note=note,
            check=lambda fields: self.check_row(fields, reading),
            kinds=self._kinds,
            wanted=wanted,
        )

    def reading_counts(self) -> dict[str, Any]:
        return {"kinds": dict(self._kinds)}

    def set_reading_counts(self, parts: Sequence[Mapping[str, Any]]) -> list[str]:
        kinds: Counter[str] = Counter()
        for part in parts:
            kinds.update(part["kinds"])
        return notes_on_kinds(kinds)

    def check_row(self, fields: Mapping[str, Any], reading: Any) -> str | None:
        """Why a labelled row is unusable, or None."""
        del fields, reading
        return None

    def key(self, fields: Mapping[str, Any]) -> str:
        return content_key(fields["audio"])

    def inspector(self, reading: AudioReading) -> AudioInspector:
        return AudioInspector(reading, content=self.annotation)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        del summary
        return {
            "audio": tfds.features.Tensor(shape=(), dtype=np.object_),
            "speaker": tfds.features.Text(),
            "seconds": np.float32,
            "id": tfds.features.Text(),
        }
