"""One row of a user's data, or the reason why it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aitk.core.io.names import printable

SPLITS = ("train", "validation", "test")


@dataclass(slots=True)
class Row:
    """The content of one record of a file. Treat it as immutable: it is not frozen because a frozen
    dataclass takes twice as long to create, a tenth of the time of ``prepare``.

    File names in it are made ``printable``: they may not be valid text.

    Attributes:
        fields: the task's fields, JSON values: ``{"text": ..., "label": ...}``.
        file: the file as given by the user.
        line: line or record number, from 1.
        split: one of ``SPLITS`` if given by the user's files, else None.
        record: the original record, which predictions include.
        redacted: how much personal data was replaced in it, by kind.
    """

    fields: Mapping[str, Any]
    file: str
    line: int
    split: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    redacted: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.file.isascii():
            self.file = printable(self.file)
        for value in self.fields.values():  # nearly always all of them are ASCII
            if isinstance(value, str) and not value.isascii():
                self.fields = _printable_values(self.fields)
                break
        if self.record:
            self.record = _printable_values(self.record)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that is not usable as a row, with the reason."""

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
