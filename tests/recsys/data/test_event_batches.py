"""Events read many at a time: the same as one by one, whatever the file holds."""

import numpy as np
import pytest

from aitk.core.contract.rows import Refusal
from aitk.core.io import lines
from aitk.recsys.data.event_batches import EventBatch
from aitk.recsys.data.events import EventLog
from aitk.recsys.data.options import RecommendReading
from aitk.recsys.data.reading import read_event_batches, read_events

HEAD = "user,item,rating,time\n"
BODY = [f"u{n % 7},i{n % 5},{n % 4 + 0.5},{1_600_000_000 + n}\n" for n in range(40)]


def body(*changed, at=20, lines=BODY):
    return "".join([*lines[:at], *changed, *lines[at:]])


def log_of(items):
    """The log, its refusals, and how many batches it came in."""
    log, refusals, batches = EventLog(), [], 0
    for item in items:
        if isinstance(item, Refusal):
            refusals.append(item)
        elif isinstance(item, EventBatch):
            log.add_batch(item)
            batches += 1
        else:
            log.add(item.fields, item.split)
    return log.take(), refusals, batches


def read_both(path, **options):
    reading, told, found = RecommendReading(**options), ([], []), ([], [])
    one = log_of(read_events([str(path)], reading, note=told[0].append, findings=found[0]))
    many = log_of(read_event_batches([str(path)], reading, note=told[1].append, findings=found[1]))
    for name in ("users", "items", "ratings", "times", "named"):
        assert getattr(one[0], name).tolist() == getattr(many[0], name).tolist(), name
        assert getattr(one[0], name).dtype == getattr(many[0], name).dtype
    for name in ("user_ids", "item_ids", "has_ratings", "has_times"):
        assert getattr(one[0], name) == getattr(many[0], name), name
    assert one[1] == many[1]
    assert told[0] == told[1]
    assert found[0] == found[1]
    assert one[2] == 0
    return many


TEXTS = {
    "plain": HEAD + body(),
    "no end of line": (HEAD + body()).rstrip("\n"),
    "Windows": (HEAD + body()).replace("\n", "\r\n"),
    "a quoted header": '"user","item","rating","time"\n' + body(),
    "a quoted field": HEAD + body('"u1","i,1",3,1600000000\n'),
    "a field over two lines": HEAD + body('"u\n1","i1",3,1600000000\n'),
    "too few fields": HEAD + body("u1,i1\n"),
    "too many fields": HEAD + body("u1,i1,3,1600000000,x\n"),
    "empty columns at the end": HEAD + body("u1,i1,3,1600000000,,\n"),
    "the header again": HEAD + body(HEAD),
    "blank lines": HEAD + body("\n", "\n"),
    "no user": HEAD + body(",i1,3,1600000000\n"),
    "no rating": HEAD + body("u1,i1,,1600000000\n"),
    "a rating in words": HEAD + body("u1,i1,good,1600000000\n"),
    "infinity": HEAD + body("u1,i1,inf,1600000000\n"),
    "a large rating": HEAD + body("u1,i1,1e39,1600000000\n"),
    "a time before 1970": HEAD + body("u1,i1,3,-5\n"),
    "milliseconds": HEAD + body("u1,i1,3,1600000000123\n"),
    "nanoseconds": HEAD + body("u1,i1,3,1600000000123456789\n"),
    "spaces": HEAD + body(" u1 , i1, 3 , 1600000000\n"),
    "ids to normalise": HEAD + body("5.0,i1,3,1600000000\n", "5,i1,3,1600000000\n"),
    "a missing value": HEAD + body("NULL,i1,3,1600000000\n"),
    "other scripts": HEAD + body("Zoé,電影,3,1600000000\n"),
    "ISO dates": HEAD + body(lines=[f"u{n},i{n},3,2020-01-{n + 1:02}\n" for n in range(30)]),
    "dates of a country": HEAD + body(lines=[f"u{n},i{n},3,{n + 1}/1/2020\n" for n in range(30)]),
    "one date of a country": HEAD + body("u1,i1,3,13/1/2020\n"),
    "NUL": HEAD + body("u\0,i1,3,1600000000\n"),
    "many ratings": HEAD + "".join(f"u{n},i{n % 9},{n / 7},{n}\n" for n in range(2000)),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("block", [150, 1 << 22])
def test_a_table_is_read_alike(name, block, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK_BYTES", block)
    (tmp_path / "log.csv").write_bytes(TEXTS[name].encode())
    _, _, batches = read_both(tmp_path / "log.csv")
    if name in ("plain", "Windows", "a quoted header", "other scripts", "ISO dates"):
        assert batches


def test_bytes_that_are_no_text_are_read_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK_BYTES", 200)
    content = HEAD + body("u\xe9,i1,3,1600000000\n")
    (tmp_path / "log.csv").write_bytes(content.encode("latin-1"))
    read_both(tmp_path / "log.csv", encoding="latin-1")
    read_both(tmp_path / "log.csv", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ratings.dat", "".join(f"{n}::{n % 3}::4::9783{n:05}\n" for n in range(50))),
        (
            "log.inter",
            "user_id:token\titem_id:token\n" + "".join(f"{n}\t{n % 3}\n" for n in range(50)),
        ),
        ("pairs.txt", "".join(f"{n} {n % 3}\n" for n in range(50))),
        ("a.jsonl", '{"user": 7, "item": "a"}\n{"user": 8, "item": "b"}\n'),
        ("lists.jsonl", '{"user": 7, "items": ["a", "b"]}\n{"user": 8, "items": ["b"]}\n'),
        ("decimal.csv", "user;item;rating\n" + "".join(f"{n};{n % 3};3,5\n" for n in range(50))),
    ],
)
def test_other_layouts_are_read_alike(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    read_both(tmp_path / name)


def test_sequences_are_read_alike(tmp_path, monkeypatch):
    monkeypatch.setattr("aitk.recsys.data.reading.EVENTS_AT_ONCE", 40)
    rows = [" ".join(f"i{(n * k) % 11}" for k in range(1, 9)) for n in range(30)]
    rows[7] += " \u200bi3 nan"
    rows[9] = ""
    (tmp_path / "log.txt").write_text("\n".join(rows) + "\n")
    _, refusals, batches = read_both(tmp_path / "log.txt")
    assert batches > 3
    assert len(refusals) == 1


@pytest.mark.parametrize("missing", [False, True])
def test_parquet_is_read_alike(tmp_path, missing):
    import pyarrow
    from pyarrow import parquet

    users = [f"u{n % 4}" for n in range(60)]
    if missing:
        users[30] = None
    columns = {
        "user": users,
        "item": np.arange(60) % 7,
        "rating": (np.arange(60) % 5).astype(np.float32),
        "time": np.arange(60) * 10**9 + 1_600_000_000 * 10**9,
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "log.parquet", row_group_size=20)
    _, refusals, batches = read_both(tmp_path / "log.parquet")
    assert bool(refusals) == missing
    assert batches or missing


def test_a_name_is_one_however_it_is_written():
    log = EventLog()
    numbers = np.array([0, 1, 0], np.int32)
    log.add_batch(EventBatch(["5", "5"], ["a", "b"], numbers, numbers, None, None, "f", None))
    events = log.take()
    assert events.user_ids == ["5"]
    assert events.users.tolist() == [0, 0, 0]
    assert len(log) == 0
