"""What tasks on texts without labels have in common: their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Task
from aitk.nlp.data.options import TextReading
from aitk.nlp.data.quality import TextInspector
from aitk.nlp.data.reading import read_texts

if TYPE_CHECKING:
    from aitk.core.artifacts.pretrained import Pretrained


class UnlabelledTexts(Task):
    """Texts from whatever files the user has, and nothing else."""

    reading = TextReading

    def __init__(self) -> None:
        self._notes: list[str] = []

    def read(
        self, sources: Sequence[str], reading: TextReading, *, labelled: bool
    ) -> Iterator[Row | Refusal]:
        return read_texts(sources, reading, labelled=False, label=False, notes=self._notes)

    def reading_notes(self) -> list[str]:
        notes, self._notes[:] = list(self._notes), []
        return notes

    def key(self, fields: Mapping[str, Any]) -> str:
        return fields["text"]

    def inspector(self, reading: TextReading) -> TextInspector:
        return TextInspector(reading, labelled=False)

    def features(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {"text": tfds.features.Text()}

    def adopt(self, found: Pretrained) -> Pretrained:
        from aitk.nlp.models.pretrained import adopt

        return adopt(found)
