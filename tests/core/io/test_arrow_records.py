"""Typed columns: values that Python lacks are truncated, converted to UTC, or refused by row."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from aitk.core.contract.rows import Refusal
from aitk.core.io.tables import open_table


def records(tmp_path, **columns):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table(columns), path)
    return records_of(path)


def records_of(path):
    return [item.reason if isinstance(item, Refusal) else item[1] for item in open_table(str(path))]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (pa.array([1_234_567], pa.timestamp("ns")), "1970-01-01 00:00:00.001234"),
        (pa.array([0], pa.timestamp("us", "Asia/Tokyo")), "1970-01-01 09:00:00+09:00"),
        (pa.array([0], pa.timestamp("us", "Mars/Base")), "1970-01-01 00:00:00+00:00"),
        (pa.array([5], pa.duration("ns")), "0:00:00"),
        (pa.array([5000], pa.time64("ns")), "00:00:00.000005"),
        (pa.array([[{"t": 1001}]], pa.list_(pa.struct([("t", pa.timestamp("ns"))]))),
         [{"t": "1970-01-01 00:00:00.000001"}]),
        (pa.array([b"a\xff"]), "a\ufffd"),
    ],
)  # fmt: skip
def test_values_are_read_as_json(tmp_path, column, value):
    assert records(tmp_path, a=column) == [{"a": value}]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**61, 0], pa.timestamp("us")),
        pa.array([10**7, 0], pa.date32()),
        pa.array([2**62, 0], pa.duration("s")),
    ],
)
def test_a_value_out_of_range_refuses_its_row(tmp_path, column):
    first, second = records(tmp_path, a=column)
    assert first.startswith("its a is a ") and first.endswith("out of range")
    assert set(second) == {"a"}


def test_text_that_is_not_utf_8_refuses_its_row(tmp_path):
    offsets = pa.py_buffer(np.array([0, 1, 2], np.int32))
    text = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xffb")])
    assert records(tmp_path, a=text) == ["its a is not UTF-8 (byte 0xff)", {"a": "b"}]


def test_columns_of_one_name_are_distinguished(tmp_path):
    path = tmp_path / "a.parquet"
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(twice, path)
    assert [record for _, record in open_table(str(path))] == [{"a": 1, "a.2": 2}]


def test_a_long_value_repeated_in_every_row_is_stored_once(tmp_path, monkeypatch):
    monkeypatch.setattr("aitk.core.io.arrow_records.MAX_LINE_BYTES", 1_000_000)
    path = tmp_path / "a.parquet"
    long = pa.array(["x" * 1_100_000, "y"])
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 200 + [1, None], pa.int32()), long)
    parquet.write_table(pa.table({"text": texts}), path, dictionary_pagesize_limit=1 << 30)
    tracemalloc.start()
    reasons = records_of(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert reasons[:200] == ["its text is longer than 1,000,000 characters"] * 200
    assert reasons[200:] == [{"text": "y"}, {"text": None}]
