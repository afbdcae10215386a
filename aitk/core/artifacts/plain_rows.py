"""Rows of texts and class labels to stored records and back, without a detour.

TensorFlow Datasets makes a ``tf.train.Example`` of a row feature by feature, with arrays in
between: 20 microseconds a row each way, most of what a row of text costs. Rows that hold texts and
labels alone are written and read as the same protocol buffers here, an eighth of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aitk.core.artifacts.stored_rows import example_class
from aitk.core.contract.errors import DataError

TEXT, LABEL = "Text", "ClassLabel"
_CACHED_SIZES = 1024


def plain_encoder(features: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bytes] | None:
    """The function from a row to its record; None where a feature is neither text nor label.

    Args:
        features: of TensorFlow Datasets, by name.
    """
    if not _are_plain(features):
        return None
    parts: list[tuple[str, bytes, list[bytes], dict[str, bytes] | None]] = []
    for name, feature in sorted(features.items()):
        key = _field(1, name.encode())
        entries = None
        if type(feature).__name__ == LABEL:
            # Few labels: the whole entry of each is made once. Int64List is field 3 of a Feature.
            entries = {
                label: _field(1, key + _field(2, _field(3, _field(1, _varint(number)))))
                for number, label in enumerate(feature.names)
            }
        starts = [_text_start(key, size) for size in range(_CACHED_SIZES)]
        parts.append((name, key, starts, entries))

    def encode(row: Mapping[str, Any]) -> bytes:
        found = b""
        for name, key, starts, entries in parts:
            if entries is None:
                text = row[name].encode()
                size = len(text)
                found += starts[size] if size < _CACHED_SIZES else _text_start(key, size)
                found += text
            elif (entry := entries.get(row[name])) is not None:
                found += entry
            else:
                raise DataError(f"the label {row[name]!r} is none of the data's")
        return _field(1, found)

    return encode


def plain_decoder(features: Mapping[str, Any]) -> Callable[[bytes], dict[str, Any]] | None:
    """The function from a record to its row; None where a feature is neither text nor label.

    It raises ``LookupError``, ``ValueError`` or protobuf's ``DecodeError`` of a damaged record.
    """
    if not _are_plain(features):
        return None
    parse = example_class().FromString
    names = {
        name: feature.names if type(feature).__name__ == LABEL else None
        for name, feature in features.items()
    }

    def decode(record: bytes) -> dict[str, Any]:
        stored = parse(record).features.feature
        row: dict[str, Any] = {}
        for name, labels in names.items():
            if labels is None:
                row[name] = stored[name].bytes_list.value[0].decode()
            else:
                row[name] = labels[stored[name].int64_list.value[0]]
        return row

    return decode


def _are_plain(features: Mapping[str, Any]) -> bool:
    return all(type(feature).__name__ in (TEXT, LABEL) for feature in features.values())


def _text_start(key: bytes, length: int) -> bytes:
    """The bytes before a text of ``length`` bytes in ``_field(1, key + _field(2, _field(1,
    _field(1, text))))``, the entry of a text in a map of features."""
    values = b"\n" + _size(length)
    feature = b"\n" + _size(length + len(values))
    outer = b"\x12" + _size(length + len(values) + len(feature))
    whole = len(key) + len(outer) + len(feature) + len(values) + length
    return b"".join((b"\n", _size(whole), key, outer, feature, values))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return bytes((number << 3 | 2,)) + _size(len(content)) + content


def _size(value: int) -> bytes:
    return _SIZES[value] if value < len(_SIZES) else _varint(value)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


#: The sizes of nearly all texts.
_SIZES = [_varint(size) for size in range(4096)]
