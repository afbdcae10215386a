"""Data in every format that is read, with cells that readers stumble over."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import av
import cv2
import numpy as np
import pyarrow
import soundfile
from hypothesis import strategies as st
from pyarrow import parquet

Files = Mapping[bytes, bytes]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_ROWS = 12
_TEXTS = ("where is my parcel", "refund please", "the lamp is broken", "灯坏了", "très bien")
_LABELS = ("a", "b")

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


def _cell(draw: Draw, good: Any) -> Any:
    """A good value, or once in a while one that is not."""
    if not rarely(draw, 12):
        return good
    return draw(st.sampled_from(TEXTS + VALUES) | st.text(max_size=8))


def _records(draw: Draw, columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    spoilt = draw(st.sets(st.sampled_from(sorted(columns)), max_size=2))
    return [
        {
            name: _cell(draw, good[row % len(good)]) if name in spoilt else good[row % len(good)]
            for name, good in columns.items()
        }
        for row in range(_ROWS)
    ]


def _table(
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
    records = _records(draw, columns)
    suffix = draw(st.sampled_from((".csv", ".tsv", ".jsonl", ".parquet", ".txt", ".csv.gz")))
    if suffix == ".parquet":
        content = _parquet(draw, records)
    elif suffix == ".jsonl":
        content = "".join(json.dumps(record) + "\n" for record in records).encode()
    else:
        delimiter = draw(st.sampled_from(("\t",) if suffix == ".tsv" else (*",;|", *more)))
        lines = [list(records[0]), *([str(value) for value in r.values()] for r in records)]
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
    numbers = [number**9 - 5 for number in range(_ROWS)]
    letters = pyarrow.py_buffer(b"\xff" * _ROWS)
    offsets = pyarrow.py_buffer(np.arange(_ROWS + 1, dtype=np.int32))
    kinds = [pyarrow.timestamp(unit, zone) for unit in ("s", "us", "ns")
             for zone in (None, "Asia/Tokyo", "Mars/Base", "+99:99")]  # fmt: skip
    kinds += [pyarrow.duration("s"), pyarrow.duration("ns"), pyarrow.time64("ns")]
    return (
        *(pyarrow.array(numbers, pyarrow.int64()).view(kind) for kind in kinds),
        pyarrow.array(range(0, _ROWS * 10**8, 10**8), pyarrow.int32(), safe=False).view("date32"),
        pyarrow.Array.from_buffers(pyarrow.string(), _ROWS, [None, offsets, letters]),
        pyarrow.array([b"\xff\x00"] * _ROWS),
        pyarrow.array([None] * _ROWS),
        pyarrow.array([[{"t": [number]}] for number in numbers]),
        pyarrow.array([float("nan")] * _ROWS),
        pyarrow.array(["a"] * _ROWS).dictionary_encode(),
    )


def _nlp(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    layout = draw(st.sampled_from(("table", "table", "folder", "lines")))
    if layout == "table":
        files = _table(draw, {"text": _TEXTS, "label": _LABELS, "n": (1, 2.5, None)})
        return files, next(iter(files)), []
    texts = [_cell(draw, text) for text in _TEXTS * 2]
    if layout == "lines":
        return {b"t.txt": "\n".join(map(str, texts)).encode("utf-8", "replace")}, b"t.txt", []
    files = {
        b"in/%s/%d.txt" % (_LABELS[row % 2].encode(), row): str(text).encode("utf-8", "replace")
        for row, text in enumerate(texts)
    }
    return files, b"in", []


def _recsys(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    users, items = [f"u{number % 4}" for number in range(_ROWS)], ("i1", "i2", "i3", "i4", "i5")
    layout = draw(st.sampled_from(("table", "table", "table", "lines", "atomic")))
    if layout == "lines":
        lines = [" ".join(str(_cell(draw, item)) for item in items) for _ in range(_ROWS)]
        return {b"t.txt": "\n".join(lines).encode("utf-8", "replace")}, b"t.txt", []
    times = [1_700_000_000 + 60 * number for number in range(_ROWS)]
    columns = {"user": users, "item": items, "rating": (1, 2.5, 5), "time": times}
    if layout == "atomic":
        lines = ["user:token\titem:token\trating:float\ttime:float"]
        lines += ["\t".join(map(str, record.values())) for record in _records(draw, columns)]
        return {b"t.inter": "\n".join(lines).encode("utf-8", "replace")}, b"t.inter", []
    files = dict(_table(draw, columns, more=("::",)))
    source = next(iter(files))
    options: list[str] = []
    if rarely(draw, 2):
        facts = _table(draw, {
            "item": items, "title": _TEXTS, "price": (1, 2.5, 10**9), "tags": ("a|b", "b"),
            "picture": ("0.png", "1.jpg"), "vector": ("[1, 2]", "[3, 4]"),
        }, name=b"items")  # fmt: skip
        files |= facts
        files[b"0.png"] = _pictures()[0]
        options = ["--items", os.fsdecode(next(iter(facts)))]
    return files, source, options


def _speech(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    sounds = {b"%d%s" % (number, _sounds()[number][0]): _sounds()[number][1] for number in range(8)}
    names = [name.decode() for name in sounds]
    files: dict[bytes, bytes]
    options = ["--sample-rate-hz=8000"]
    layout = draw(st.sampled_from(("folder", "manifest", "manifest", "kaldi", "chapters")))
    if layout == "folder":
        files = {b"in/%s/%s" % (_LABELS[at % 2].encode(), name): content
                 for at, (name, content) in enumerate(sounds.items())}  # fmt: skip
        if task == "asr":
            files |= {name.rpartition(b".")[0] + b".txt": b"hello there" for name in list(files)}
        return files, b"in", options
    if layout == "manifest":
        columns = {"audio": names, "text": _TEXTS, "label": _LABELS, "start": (0, 0.05, ""),
                   "end": (0.3, 0.25, ""), "speaker": ("s1", "s2")}  # fmt: skip
        files = dict(_table(draw, columns))
        return files | sounds, next(iter(files)), options
    if layout == "kaldi":
        files = {b"in/" + name: content for name, content in sounds.items()}
        for name, values in (("wav.scp", names), ("text", _TEXTS), ("utt2spk", ("s1", "s2")),
                             ("segments", [f"u{at} 0 0.3" for at in range(8)])):  # fmt: skip
            if name != "segments" or rarely(draw, 2):
                lines = [f"u{at} {_cell(draw, values[at % len(values)])}" for at in range(8)]
                files[b"in/" + name.encode()] = "\n".join(lines).encode("utf-8", "replace")
        return files, b"in", options
    files = {b"in/train-clean/7/1/7-1-%s" % name: content for name, content in sounds.items()}
    said = [f"7-1-{at} {_cell(draw, 'HELLO THERE')}" for at in range(8)]
    files[b"in/train-clean/7/1/7-1.trans.txt"] = "\n".join(said).encode("utf-8", "replace")
    return files, b"in", options


def _vision(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    layout = draw(st.sampled_from(_LAYOUTS if rarely(draw, 6) else _LAYOUTS_OF[task]))
    pictures = _pictures()
    names = [b"%d%s" % (at, suffix) for at, suffix in enumerate(_SUFFIXES * 2)]
    stems = [name.rpartition(b".")[0] for name in names]
    files = dict(zip((b"images/" + name for name in names), pictures, strict=False))
    if layout == "folder":
        files = {b"%s/%s" % (_LABELS[at % 2].encode(), name): pictures[at]
                 for at, name in enumerate(names)}  # fmt: skip
    elif layout == "table":
        boxes = '[{"label": "a", "box": [1, 1, 9, 9]}]'
        columns = {"path": [f"images/{name.decode()}" for name in names], "label": _LABELS}
        columns |= {"boxes": (boxes, "[]"), "mask": ("masks/0.png", "masks/1.png")}
        table = _table(draw, columns)
        files |= table
        files |= {b"masks/%d.png" % at: _masks()[at] for at in range(2)}
        if rarely(draw, 2):
            return files, next(iter(table)), []
    elif layout in _OF_MANY:
        files[b"images/annotations" + _OF_MANY[layout][0]] = _OF_MANY[layout][1](
            draw, [name.decode() for name in names]
        )
    elif layout == "labelme":
        files |= {b"images/%s.json" % stem: _labelme(draw) for stem in stems}
    elif layout == "yolo":
        line = "\n".join(" ".join(str(_cell(draw, part)) for part in (at, ".5", ".5", ".2", ".2"))
                         for at in "01")  # fmt: skip
        files |= {b"labels/%s.txt" % stem: line.encode("utf-8", "replace") for stem in stems}
        files[draw(st.sampled_from((b"classes.txt", b"data.yaml")))] = draw(st.sampled_from(_LISTS))
    elif layout == "voc":
        parts = [str(_cell(draw, part)) for part in ("a", "1", "1", "9", "9")]
        files |= {b"annotations/%s.xml" % stem: _voc(parts) for stem in stems}
    elif layout == "masks":
        files |= {b"masks/%s.png" % stem: _masks()[at % 2] for at, stem in enumerate(stems)}
        if rarely(draw, 2):
            files[b"classes.txt"] = draw(st.sampled_from(_LISTS))
    else:
        size = draw(st.sampled_from(((12, 4, 4), (12, 4, 4), (12, 0, 0), (2**32 - 1, 1, 1))))
        files = {
            b"train-images-idx3-ubyte": struct.pack(">4I", 0x803, *size) + bytes(192),
            b"train-labels-idx1-ubyte": struct.pack(">2I", 0x801, 12) + b"\0\1" * 6,
        }
    if rarely(draw, 4):
        packed = draw(st.sampled_from((b"in.zip", b"in.tar", b"in.tar.gz", b"in.tar.xz")))
        return {packed: _archive(packed, files)}, packed, []
    return {b"in/" + name: content for name, content in files.items()}, b"in", []


def _coco(draw: Draw, names: Sequence[str]) -> bytes:
    def value(good: Any) -> Any:
        return _cell(draw, good)

    more = range(3, draw(st.sampled_from((3, 300))))
    return json.dumps({
        "images": [{"id": value(at), "file_name": value(name), "height": value(12), "width": 16}
                   for at, name in enumerate(names)],
        "categories": [{"id": value(1), "name": value("a")}, {"id": value(2), "name": value("b")},
                       *({"id": number, "name": f"c{number}"} for number in more)],
        "annotations": [
            {"id": at, "image_id": value(at % len(names)), "category_id": value(1 + at % 2),
             "bbox": value([1, 1, value(5), 5]), "iscrowd": value(0),
             "segmentation": value(draw(st.sampled_from((
                 [[1, 1, 9, 1, 9, 9]], {"size": [12, 16], "counts": "d0X3"}, [[1, 1]],
                 {"size": [12, 16], "counts": [100, 92]}, {"size": [12, 16], "counts": "o" * 5000},
             ))))}
            for at in range(2 * len(names))
        ],
    }).encode()  # fmt: skip


def _labelme(draw: Draw) -> bytes:
    def value(good: Any) -> Any:
        return _cell(draw, good)

    shapes = [
        {"label": value("a"), "points": value([[1, 1], [value(9), 9]]), "shape_type": value(kind)}
        for kind in ("rectangle", "circle", "polygon")
    ]
    found = {"shapes": value(shapes), "imagePath": value("x"), "imageHeight": value(12)}
    return json.dumps(found).encode()


def _label_studio(draw: Draw, names: Sequence[str]) -> bytes:
    def value(good: Any) -> Any:
        return _cell(draw, good)

    def task(name: str) -> Any:
        shape = {"x": value(10), "y": 10, "width": value(20), "height": 20, "rotation": value(0),
                 "rectanglelabels": value(["a"])}  # fmt: skip
        result = {"value": value(shape), "original_width": value(16), "original_height": 12}
        return {
            "data": value({"image": value(name)}),
            "annotations": value([{"result": value([result])}]),
        }

    return json.dumps([value(task(name)) for name in names]).encode()


def _cvat(draw: Draw, names: Sequence[str]) -> bytes:
    def told(good: Any) -> str:
        text = str(_cell(draw, good))
        return "".join(sign for sign in text if sign >= " " and sign not in '<&"')

    images = "".join(
        f'<image name="{told(name)}" width="{told(16)}" height="12"><box label="{told("a")}"'
        f' xtl="{told(1)}" ytl="1" xbr="{told(9)}" ybr="9" rotation="{told(0)}"/>'
        f'<polygon label="b" points="{told("1,1;9,1;9,9")}"/></image>'
        for name in names
    )
    return f"<annotations><version>1.1</version>{images}</annotations>".encode("utf-8", "replace")


def _voc(parts: Sequence[str]) -> bytes:
    name, *numbers = parts
    box = "".join(
        f"<{tag}>{value}</{tag}>"
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), numbers, strict=True)
    )
    things = "".join(
        f"<object><name>{each}</name><bndbox>{box}</bndbox></object>" for each in (name, "b")
    )
    text = f"<annotation>{things}</annotation>"
    return text.encode("utf-8", "replace")


_LISTS = (
    b"a\nb\n", b"names: [a, b]\n", b"names: {0: a, 1: b}\n", b"a 0 0 0\nb 1 1 1\n", b"a\na\n", b"",
    b"names: &x [*x]\n", b"names: {0: a, b: 1, null: 2}\n", b"names: " + b"[" * 3000, b"nc: 2\n",
    b"names: !!python/name:os.system\n", b"\n".join(b"%d" % number for number in range(400)),
    b"names: [" + b"a" * 5000 + b"]\n",
)  # fmt: skip
#: Files that annotate many pictures: their ending, and what makes one.
_OF_MANY: Mapping[str, tuple[bytes, Callable[[Draw, Sequence[str]], bytes]]] = {
    "coco": (b".json", _coco),
    "label studio": (b".json", _label_studio),
    "cvat": (b".xml", _cvat),
}
_LAYOUTS = ("folder", "table", "yolo", "voc", "masks", "idx", "labelme", *_OF_MANY)
_LAYOUTS_OF = {
    "classify": ("folder", "table", "idx"),
    "detect": ("table", "yolo", "voc", "labelme", *_OF_MANY),
    "segment": ("table", "masks", "labelme", *_OF_MANY),
    "multitask": _LAYOUTS,
    "masked-image": ("folder", "idx"),
}
_SUFFIXES = (b".png", b".jpg", b".webp", b".gif", b".bmp", b".tif")


@functools.cache
def _pictures() -> tuple[bytes, ...]:
    """Two small pictures in each format."""
    rng = np.random.default_rng(0)
    return tuple(
        cv2.imencode(suffix.decode(), rng.integers(0, 255, (12, 16, 3), np.uint8))[1].tobytes()
        for suffix in _SUFFIXES * 2
    )


@functools.cache
def _masks() -> tuple[bytes, ...]:
    numbers = np.zeros((12, 16), np.uint8)
    numbers[3:9, 4:9] = 1
    large = numbers.astype(np.uint16) * 300
    return tuple(cv2.imencode(".png", mask)[1].tobytes() for mask in (numbers, large))


@functools.cache
def _sounds() -> tuple[tuple[bytes, bytes], ...]:
    """Half a second of eight tones in several formats, with their endings."""
    made = []
    formats = (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("WAV", "FLOAT"), ("M4A", "AAC"))
    for number in range(8):
        name, subtype = formats[number % len(formats)]
        tone = 0.3 * np.sin(np.arange(4000) * 0.05 * (number + 1))
        file = io.BytesIO()
        if name == "M4A":
            _write_m4a(file, tone)
        else:
            soundfile.write(file, tone, 8000, format=name, subtype=subtype)
        made.append((b"." + name.lower().encode(), file.getvalue()))
    return tuple(made)


def _write_m4a(file: io.BytesIO, tone: np.ndarray) -> None:
    with av.open(file, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def _archive(name: bytes, files: Files) -> bytes:
    packed = io.BytesIO()
    if name.endswith(b".zip"):
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in files.items():
                archive.writestr(member.decode("latin-1"), content)
    else:
        mode = {b"gz": "w:gz", b"xz": "w:xz"}.get(name.rpartition(b".")[2], "w")
        with tarfile.open(fileobj=packed, mode=mode) as tar:  # type: ignore[call-overload]
            for member, content in files.items():
                info = tarfile.TarInfo(os.fsdecode(member))
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


#: Of each domain: its tasks, and what makes files, the name of those that are read, and options.
TASKS = {
    "nlp": ("classify", "masked-lm", "generate"),
    "recsys": ("recommend", "rate", "masked-items"),
    "speech": ("keywords", "asr", "masked-speech"),
    "vision": ("classify", "detect", "segment", "multitask", "masked-image"),
}
MAKERS = {"nlp": _nlp, "recsys": _recsys, "speech": _speech, "vision": _vision}
