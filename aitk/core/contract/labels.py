"""Normalisation of labels and ids, and recognition of missing values.

``é`` has two encodings in Unicode, zero-width spaces are invisible, and pandas writes an integer
column with a gap as ``5.0``: none of these creates a separate class, user or item.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aitk.core.contract.options import option
from aitk.core.io.values import quoted

#: Spellings of missing values: the list of pandas' ``read_csv``, MySQL's ``\N``, and the error
#: values of spreadsheets.
MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
     "<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a", "nan", "null", r"\N",
     "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!")
)  # fmt: skip
MAX_LABEL_CHARACTERS = 1000
#: Values of a binary label column.
_PRESENT = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "y", "t", "x"), True),
    **dict.fromkeys(("0", "0.0", "false", "no", "n", "f", ""), False),
}

# Zero-width spaces, byte order marks, soft hyphens, directional marks, control characters.
# Joiners are kept: they are part of Persian, of Indic scripts and of emoji.
_UNSEEN = re.compile(
    "[\0-\x08\x0e-\x1b\x7f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064"
    "\u2066-\u206f\ufeff]"
)
_JOINERS_AT_ENDS = re.compile(r"^[\u200c\u200d\s]+|[\u200c\u200d\s]+$")
_WHOLE_NUMBER = re.compile(r"(-?(?:0|[1-9]\d*))\.0+")


def normalise(text: str) -> str:
    """The canonical form of a label or an id, for comparison and storage.

    Unicode form NFC, without invisible characters, with single inner spaces, and ``5`` for ``5.0``.
    Leading zeros are kept: ``007`` is a code.
    """
    if text.isascii() and text.isalnum():
        return text
    text = unicodedata.normalize("NFC", _UNSEEN.sub("", text))
    text = " ".join(_JOINERS_AT_ENDS.sub("", text).split())
    number = _WHOLE_NUMBER.fullmatch(text)
    return number[1] if number else text


def read_name(value: Any, what: str, *, keep_na: bool = False) -> tuple[str, str | None]:
    """The normalised label or id in a value, or the reason why there is none.

    Args:
        what: kind of value, for the reason: label, user, item.
        keep_na: treat words for missing values, such as NULL and nan, as names.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # integer columns with gaps become floats
    elif isinstance(value, list | dict):
        kind = f"list of {len(value)} values" if isinstance(value, list) else "JSON object"
        hint = " (--multi-label reads several)" * (what == "label" and isinstance(value, list))
        return "", f"its {what} is a {kind} instead of a single value{hint}"
    name = "" if value is None else normalise(str(value))
    if not name:
        return "", f"it has no {what}"
    if len(name) > MAX_LABEL_CHARACTERS:
        return "", f"its {what} is longer than {MAX_LABEL_CHARACTERS:,} characters"
    if name in MISSING and not keep_na:
        return "", f"its {what} is {name}, a missing value (--keep-na reads it as a name)"
    return name, None


@dataclass
class NameReader:
    """Reads the labels or ids of one source, and counts changed spellings."""

    keep_na: bool = False
    changed: dict[str, int] = field(default_factory=dict)

    def read(self, value: Any, what: str) -> tuple[str, str | None]:
        """Like ``read_name``."""
        # Most values need no change, and a log has millions.
        is_plain = type(value) is str and value.isascii() and value.isalnum()
        if is_plain and len(value) <= MAX_LABEL_CHARACTERS and value not in MISSING:
            return value, None
        name, problem = read_name(value, what, keep_na=self.keep_na)
        if problem is None and isinstance(value, str | float) and name != str(value).strip(" "):
            self.changed[what] = self.changed.get(what, 0) + 1
        return name, problem

    def notes(self, source: str) -> list[str]:
        """Notes on what was changed."""
        return [
            f"{source}: {count:,} {what} values normalised (5.0 is 5; invisible characters and"
            " odd spaces dropped; Unicode form NFC)"
            for what, count in self.changed.items()
        ]


@dataclass(frozen=True)
class MultiLabelReading:
    """Options for rows with several labels."""

    label_separator: str | None = option(
        None, "rows have several labels, separated by this, such as |"
    )
    label_columns: list[str] | None = option(
        None, "rows have several labels: each of these columns is one label, 1 or 0"
    )
    multi_label: bool = option(False, "rows have several labels, as a JSON list")

    @property
    def has_many_labels(self) -> bool:
        """Whether rows have several labels."""
        return bool(self.multi_label or self.label_separator or self.label_columns)


class LabelReader:
    """Reads the field ``label`` of each record, or ``labels`` for multi-label data.

    Args:
        reading: the label options.
        names: normalises them.
    """

    def __init__(self, reading: MultiLabelReading, names: NameReader):
        self._reading, self._names = reading, names
        #: Whether it reads several labels.
        self.has_many = reading.has_many_labels

    def read(
        self, record: Mapping[str, Any], columns: Sequence[str]
    ) -> tuple[dict[str, Any], str | None]:
        """The fields of a record, or the reason why it has none.

        Args:
            columns: column of the label or labels, or those of ``label_columns``.
        """
        if self._reading.label_columns:
            return self._read_columns(record, columns)
        return self.read_value(record.get(columns[0]))

    def read_value(self, value: Any) -> tuple[dict[str, Any], str | None]:
        """The fields of a record from the value with its label or labels."""
        if not self.has_many:
            name, problem = self._names.read(value, "label")
            return {"label": name}, problem
        parts = self._split(value)
        if parts is None:
            return {}, "it has no labels: use an empty list for a row without any"
        labels: list[str] = []
        for part in parts:
            name, problem = self._names.read(part, "label")
            if problem:
                return {}, problem
            labels.append(name)
        return {"labels": list(dict.fromkeys(labels))}, None

    def _split(self, value: Any) -> list[Any] | None:
        """The labels in a value, or None if it is missing."""
        if value is None or isinstance(value, list):
            return value
        text = str(value).strip()
        if self._reading.label_separator:
            parts = text.split(self._reading.label_separator)
            return [part for part in parts if part.strip()]
        if text.startswith("["):
            try:
                listed = json.loads(text)
            except ValueError:
                listed = None
            if isinstance(listed, list):
                return listed
        return [value] if text else []

    def _read_columns(
        self, record: Mapping[str, Any], columns: Sequence[str]
    ) -> tuple[dict[str, Any], str | None]:
        labels = []
        for column in columns:
            value = record.get(column)
            present = _PRESENT.get(str("" if value is None else value).strip().casefold())
            if present is None:
                return {}, f"its label {column!r} is {quoted(str(value))}, not 0 or 1"
            name, problem = self._names.read(column, "label")
            if problem:
                return {}, problem
            if present:
                labels.append(name)
        return {"labels": labels}, None
