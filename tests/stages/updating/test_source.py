"""A growing file as mini-batches of whole records."""

import json
import os
import threading
import time

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.stages.updating.source import Source


def batches(path, *, offset=0, every=2, idle=0.0, **more):
    given = {"seconds": None, "header": "auto"} | more
    source = Source(str(path), every=every, idle=idle, **given)
    return source, list(source.batches(offset))


def test_a_table_comes_in_batches_that_have_its_header(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('text,label\na,1\n"b\nb",2\n\nc,3\n')
    source, found = batches(path)
    assert [batch.lines for batch in found] == [("a,1", '"b\nb",2'), ("c,3",)]
    assert found[-1].offset == path.stat().st_size
    assert source.write(found[1], tmp_path).read_text() == "text,label\nc,3\n"


def test_it_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,1\nb,2\nc,3\n")
    _, found = batches(path)
    source, rest = batches(path, offset=found[0].offset)
    assert [batch.lines for batch in rest] == [("c,3",)]
    assert source.header == "text,label"
    with pytest.raises(DataError, match="shorter than"):
        batches(path, offset=10_000)


def test_half_a_line_waits_for_its_end(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n{"te')

    def write_on():
        time.sleep(0.3)
        with path.open("a") as file:
            file.write('xt": "b"}\n')

    writer = threading.Thread(target=write_on)
    writer.start()
    _, found = batches(path, idle=1.0)
    writer.join()
    assert [line for batch in found for line in batch.lines] == ['{"text": "a"}', '{"text": "b"}']


def test_time_ends_a_batch_as_well(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n')
    source = Source(str(path), every=100, seconds=0.1, idle=None)
    started = time.monotonic()
    batch = next(iter(source.batches()))
    assert batch.lines == ('{"text": "a"}',) and time.monotonic() - started < 3


def test_stdin_tells_its_format_by_its_first_line(tmp_path, monkeypatch):
    reading, writing = os.pipe()
    os.write(writing, b'{"text": "a"}\n{"text": "b"}')
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        source, found = batches("-")
    assert [batch.lines for batch in found] == [('{"text": "a"}', '{"text": "b"}')]
    assert source.write(found[0], tmp_path).suffix == ".jsonl"


def test_files_named_in_rows_count_from_the_source(tmp_path):
    (tmp_path / "sound.wav").touch()
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"audio": "sound.wav", "label": "yes"}) + "\n")
    source, found = batches(path)
    (tmp_path / "elsewhere").mkdir()
    written = json.loads(source.write(found[0], tmp_path / "elsewhere").read_text())
    assert written == {"audio": str(tmp_path / "sound.wav"), "label": "yes"}


def test_what_holds_no_lines_cannot_be_followed():
    with pytest.raises(UsageError, match=r"Follow a \.csv"):
        batches("rows.parquet")
