"""Rows of tasks on texts without labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import AssetsT, Note, Task
from aitk.nlp.data.options import TextReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts


class UnlabelledTexts(Task[AssetsT]):
    """Texts without labels, from files in many formats."""

    reading = TextReading
    content = "text"

    def read(
        self, sources: Sequence[str], reading: TextReading, *, labelled: bool, note: Note
    ) -> Iterator[Row | Refusal]:
        return read_texts(sources, reading, labelled=False, label=False, note=note)

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields["text"]

    def inspector(self, reading: TextReading) -> TextInspector:
        return TextInspector(reading, labelled=False)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {"text": tfds.features.Text()}
