"""Rows of texts and lists of numbers to stored records and back, many at a time.

TensorFlow Datasets makes a ``tf.train.Example`` of a row value by value: a log of five million
events, each in the histories of three rows, took half a minute. The same protocol buffers are
written here by whole arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.artifacts.stored_rows import example_class

_NUMBERS = (np.int32, np.int64, np.float32)
# Of tf.train.Example and its parts.
_KEY, _VALUE, _ENTRY, _FEATURES, _LIST_VALUE = 1, 2, 1, 1, 1
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_MOST_VARINT_BYTES = 10


def number_encoder(
    features: Mapping[str, Any],
) -> Callable[[Sequence[Mapping[str, Any]]], list[bytes]] | None:
    """The function from rows to their records; None where a feature is neither a text nor a list
    of numbers.

    Args:
        features: of TensorFlow Datasets, by name.
    """
    if not _are_numbers(features):
        return None
    dtypes = {name: _dtype(feature) for name, feature in sorted(features.items())}
    keys = {name: _field(_KEY, name.encode()) for name in dtypes}

    def encode(rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
        parts = []
        for name, dtype in dtypes.items():
            values = [row[name] for row in rows]
            contents = _texts(values) if dtype is None else _lists(values, dtype)
            number = (
                _BYTES_LIST
                if dtype is None
                else _FLOAT_LIST
                if dtype == np.float32
                else _INT64_LIST
            )
            parts.append([_entry(keys[name], number, content) for content in contents])
        return [_field(_FEATURES, b"".join(entries)) for entries in zip(*parts, strict=True)]

    return encode


def number_decoder(features: Mapping[str, Any]) -> Callable[[bytes], dict[str, Any]] | None:
    """The function from a record to its row; None where ``number_encoder`` is.

    It raises ``LookupError``, ``ValueError`` or protobuf's ``DecodeError`` of a damaged record.
    """
    if not _are_numbers(features):
        return None
    parse = example_class().FromString
    dtypes = {name: _dtype(feature) for name, feature in features.items()}

    def decode(record: bytes) -> dict[str, Any]:
        stored = parse(record).features.feature
        row: dict[str, Any] = {}
        for name, dtype in dtypes.items():
            if name not in stored:
                raise KeyError(name)
            found = stored[name]
            if dtype is None:
                row[name] = found.bytes_list.value[0].decode()
            elif dtype == np.float32:
                row[name] = np.array(found.float_list.value, dtype)
            else:
                row[name] = np.array(found.int64_list.value, dtype)
        return row

    return decode


def _are_numbers(features: Mapping[str, Any]) -> bool:
    kinds = {type(feature).__name__ for feature in features.values()}
    return "Tensor" in kinds and all(map(_is_number, features.values()))


def _is_number(feature: Any) -> bool:
    kind = type(feature).__name__
    return kind == "Text" or (kind == "Tensor" and feature.shape == (None,) and _dtype(feature))


def _dtype(feature: Any) -> Any:
    """Of a list of numbers; None of a text, and of what is stored in another way."""
    if type(feature).__name__ != "Tensor":
        return None
    return next((each for each in _NUMBERS if feature.np_dtype == each), None)


def _texts(values: Sequence[str]) -> list[bytes]:
    return [value.encode() for value in values]


def _lists(values: Sequence[Any], dtype: Any) -> list[bytes]:
    arrays = [np.asarray(value, dtype) for value in values]
    if dtype != np.float32:
        return _varints(arrays)
    return [array.astype("<f4", copy=False).tobytes() for array in arrays]


def _varints(arrays: Sequence[np.ndarray]) -> list[bytes]:
    """The whole numbers of each array, seven bits a byte, the lowest first."""
    values = np.concatenate([np.zeros(0, np.int64), *arrays]).astype(np.int64).view(np.uint64)
    sizes = np.ones(len(values), np.int64)
    for more in range(1, _MOST_VARINT_BYTES):
        longer = values >= np.uint64(1 << (7 * more))
        if not longer.any():
            break
        sizes += longer
    ends = np.cumsum(sizes)
    written = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    starts = ends - sizes
    for at in range(int(sizes.max(initial=0))):
        which = np.flatnonzero(sizes > at)
        seven = (values[which] >> np.uint64(7 * at)).astype(np.uint8) & np.uint8(127)
        written[starts[which] + at] = seven | ((sizes[which] > at + 1) * np.uint8(128))
    content = written.tobytes()
    bounds = np.concatenate([[0], ends])[np.cumsum([0, *map(len, arrays)])].tolist()
    return [content[start:end] for start, end in itertools.pairwise(bounds)]


def _entry(key: bytes, number: int, content: bytes) -> bytes:
    """An entry of the map of features: its name, and a list of one kind."""
    content = _field(_LIST_VALUE, content) if content or number == _BYTES_LIST else b""
    return _field(_ENTRY, key + _field(_VALUE, _field(number, content)))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    size = len(content)
    length = _LENGTHS[size] if size < len(_LENGTHS) else _varint(size)
    return _TAGS[number] + length + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


_TAGS = [bytes((number << 3 | 2,)) for number in range(4)]
_LENGTHS = [_varint(size) for size in range(1 << 12)]
