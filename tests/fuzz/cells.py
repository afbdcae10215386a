"""Tables with cells that readers stumble over."""

from __future__ import annotations

import functools
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow
from hypothesis import strategies as st
from pyarrow import parquet

Files = Mapping[bytes, bytes]
Draw = Callable[[st.SearchStrategy[Any]], Any]

ROWS = 12
GOOD_TEXTS = ("where is my parcel", "refund please", "the lamp is broken", "灯坏了", "très bien")
LABELS = ("a", "b")

TEXTS = (
    "", " ", "\t", "0", "-1", "1.0", "007", "1,5", "1_000", "nan", "NaN", "inf", "-Infinity",
    "1e400", "-1e-400", "9" * 25, "9" * 400, "9" * 5000, "0x10", "٣", "true", "null", "None",
    "NULL", "N/A", "2024-13-45", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "12:60",
    "x" * 300, "x" * 20_000, "a/" * 3000, "../../etc/passwd", "/etc/passwd", "/dev/null", "~", ".",
    "..", "-", "--out", "a\\b", "a%00b", "%ff", "=1+1", "@a", "\x1b]0;x\x07", "\u202e", "\u200b",
    "e\u0301", "\ufeff", "\U0010ffff", '"', '""', "'", "<b>&amp;</b>", "</script>", "{", "[[[[",
    "[]", "[1, [2]]", '{"a": 1}', "[" * 2000, '[{"label": "a", "box": [1e999, 0, "x", null]}]',
    "$(id)", "a|b", "a;b", "a,b", "a::b", "a\nb", "a\r\nb", "\x00", "a b c", "{0}", "%s",
)  # fmt: skip
VALUES = (
    None, True, 0, -1, 10**25, 10**400, -(10**310), 1.5, 1e308, float("nan"), float("inf"), [], {},
    [1, [2, [3]]], {"a": {"b": []}}, [None], "a", [[[[0]]]],
)  # fmt: skip


def rarely(draw: Draw, times: int) -> bool:
    """True once in so many times."""
    return draw(st.integers(1, times)) == times


def cell(draw: Draw, good: Any) -> Any:
    """A good value, or once in a while one that is not."""
    if not rarely(draw, 12):
        return good
    return draw(st.sampled_from(TEXTS + VALUES) | st.text(max_size=8))


def records(draw: Draw, columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    spoilt = draw(st.sets(st.sampled_from(sorted(columns)), max_size=2))
    return [
        {
            name: cell(draw, good[row % len(good)]) if name in spoilt else good[row % len(good)]
            for name, good in columns.items()
        }
        for row in range(ROWS)
    ]


def table(
    draw: Draw,
    columns: Mapping[str, Sequence[Any]],
    *,
    name: bytes = b"t",
    more: Sequence[str] = (),
) -> Files:
    """A table of one file.

    Args:
        more: delimiters besides those that every reader knows.
    """
    rows = records(draw, columns)
    suffix = draw(st.sampled_from((".csv", ".tsv", ".jsonl", ".parquet", ".txt", ".csv.gz")))
    if suffix == ".parquet":
        content = _parquet(draw, rows)
    elif suffix == ".jsonl":
        content = "".join(json.dumps(record) + "\n" for record in rows).encode()
    else:
        delimiter = draw(st.sampled_from(("\t",) if suffix == ".tsv" else (*",;|", *more)))
        lines = [list(rows[0]), *([str(value) for value in r.values()] for r in rows)]
        if rarely(draw, 8):
            del lines[0]
        text = "".join(delimiter.join(map(_quoted, line)) + "\n" for line in lines)
        content = text.encode(draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16"))), "replace")
    if suffix.endswith(".gz"):
        content = gzip.compress(content)
    return {name + suffix.encode(): content}


def _quoted(text: str) -> str:
    if any(sign in text for sign in ',;|"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _parquet(draw: Draw, records: Sequence[Mapping[str, Any]]) -> bytes:
    columns: dict[str, pyarrow.Array] = {}
    for name in records[0]:
        values = [record[name] for record in records]
        try:
            columns[name] = pyarrow.array(values)
        except (pyarrow.ArrowException, ValueError, OverflowError):
            columns[name] = pyarrow.array([str(value) for value in values])
    if rarely(draw, 2):
        name = draw(st.sampled_from(sorted(columns)))
        columns[name] = draw(st.sampled_from(_typed_columns()))
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


@functools.cache
def _typed_columns() -> tuple[pyarrow.Array, ...]:
    numbers = [number**9 - 5 for number in range(ROWS)]
    letters = pyarrow.py_buffer(b"\xff" * ROWS)
    offsets = pyarrow.py_buffer(np.arange(ROWS + 1, dtype=np.int32))
    kinds = [pyarrow.timestamp(unit, zone) for unit in ("s", "us", "ns")
             for zone in (None, "Asia/Tokyo", "Mars/Base", "+99:99")]  # fmt: skip
    kinds += [pyarrow.duration("s"), pyarrow.duration("ns"), pyarrow.time64("ns")]
    return (
        *(pyarrow.array(numbers, pyarrow.int64()).view(kind) for kind in kinds),
        pyarrow.array(range(0, ROWS * 10**8, 10**8), pyarrow.int32(), safe=False).view("date32"),
        pyarrow.Array.from_buffers(pyarrow.string(), ROWS, [None, offsets, letters]),
        pyarrow.array([b"\xff\x00"] * ROWS),
        pyarrow.array([None] * ROWS),
        pyarrow.array([[{"t": [number]}] for number in numbers]),
        pyarrow.array([float("nan")] * ROWS),
        pyarrow.array(["a"] * ROWS).dictionary_encode(),
    )
