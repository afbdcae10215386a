"""Pictures and their annotations in every format that is read."""

from __future__ import annotations

import functools
import io
import json
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from cells import LABELS, Draw, Files, cell, rarely, table
from hypothesis import strategies as st


def annotated_pictures(draw: Draw, task: str) -> tuple[Files, bytes, list[str]]:
    """Pictures with labels, boxes or masks: files, the name of what is read, and options."""
    layout = draw(st.sampled_from(_LAYOUTS if rarely(draw, 6) else _LAYOUTS_OF[task]))
    painted = pictures()
    names = [b"%d%s" % (at, suffix) for at, suffix in enumerate(_SUFFIXES * 2)]
    stems = [name.rpartition(b".")[0] for name in names]
    files = dict(zip((b"images/" + name for name in names), painted, strict=False))
    if layout == "folder":
        files = {b"%s/%s" % (LABELS[at % 2].encode(), name): painted[at]
                 for at, name in enumerate(names)}  # fmt: skip
    elif layout == "table":
        boxes = '[{"label": "a", "box": [1, 1, 9, 9]}]'
        columns = {"path": [f"images/{name.decode()}" for name in names], "label": LABELS}
        columns |= {"boxes": (boxes, "[]"), "mask": ("masks/0.png", "masks/1.png")}
        listed = table(draw, columns)
        files |= listed
        files |= {b"masks/%d.png" % at: _masks()[at] for at in range(2)}
        if rarely(draw, 2):
            return files, next(iter(listed)), []
    elif layout in _OF_MANY:
        files[b"images/annotations" + _OF_MANY[layout][0]] = _OF_MANY[layout][1](
            draw, [name.decode() for name in names]
        )
    elif layout == "labelme":
        files |= {b"images/%s.json" % stem: _labelme(draw) for stem in stems}
    elif layout == "yolo":
        line = "\n".join(" ".join(str(cell(draw, part)) for part in (at, ".5", ".5", ".2", ".2"))
                         for at in "01")  # fmt: skip
        files |= {b"labels/%s.txt" % stem: line.encode("utf-8", "replace") for stem in stems}
        files[draw(st.sampled_from((b"classes.txt", b"data.yaml")))] = draw(st.sampled_from(_LISTS))
    elif layout == "voc":
        parts = [str(cell(draw, part)) for part in ("a", "1", "1", "9", "9")]
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
        return cell(draw, good)

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
        return cell(draw, good)

    shapes = [
        {"label": value("a"), "points": value([[1, 1], [value(9), 9]]), "shape_type": value(kind)}
        for kind in ("rectangle", "circle", "polygon")
    ]
    found = {"shapes": value(shapes), "imagePath": value("x"), "imageHeight": value(12)}
    return json.dumps(found).encode()


def _label_studio(draw: Draw, names: Sequence[str]) -> bytes:
    def value(good: Any) -> Any:
        return cell(draw, good)

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
        text = str(cell(draw, good))
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
def pictures() -> tuple[bytes, ...]:
    """Two small images in each format."""
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
