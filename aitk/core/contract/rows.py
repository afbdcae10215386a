"""One row of a user's data, or the reason why it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aitk.core.io.names import printable

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Row:
    """What a task reads from one record of a file.

    Names of files in it are made ``printable``: they may be no text.

    Attributes:
        fields: the task's own fields, JSON values: ``{"text": ..., "label": ...}``.
        file: the file as the user named it.
        line: the line or record number in it, from 1.
        split: one of ``SPLITS`` where the user's files name it, else None.
        record: the record as it stood in the file, for predictions to carry along.
        redacted: how much personal data was replaced in it, by kind.
    """

    fields: Mapping[str, Any]
    file: str
    line: int
    split: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    redacted: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", printable(self.file))
        object.__setattr__(self, "fields", _printable_values(self.fields))
        object.__setattr__(self, "record", _printable_values(self.record))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that could not become a row, and why."""

    file: str
    line: int
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", printable(self.file))
        object.__setattr__(self, "reason", printable(self.reason))

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def _printable_values(values: Mapping[str, Any]) -> Mapping[str, Any]:
    changed = {
        name: text
        for name, value in values.items()
        if isinstance(value, str) and (text := printable(value)) is not value
    }
    return {**values, **changed} if changed else values
