"""Reads annotated images from the user's files.

A row is ``{"image": bytes, "name", "height", "width"}`` plus the annotation kinds of the task:
``"label"``; ``"score"``; ``"boxes"``, ``"box_labels"`` and ``"crowd"``; ``"mask"``. Image bytes
are stored unchanged where possible. Rows are streamed.
"""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import MAX_LABEL_CHARACTERS, normalise
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note
from aitk.core.io.files import check_file
from aitk.core.io.images import (
    bits_of,
    decode_deep,
    decode_image,
    encode_jpeg,
    encode_png,
    has_pages,
    image_format,
)
from aitk.core.io.names import shorten, split_named
from aitk.core.io.tfds_source import PREFIX
from aitk.vision.data.archives import is_archive, open_archive
from aitk.vision.data.class_lists import LIST_NAMES, YAML_NAMES, ClassList
from aitk.vision.data.formats.masks import encode_mask
from aitk.vision.data.formats.tfds_images import read_tfds
from aitk.vision.data.items import Boxes, ClassMask, Item
from aitk.vision.data.layouts import read_annotation_file, read_tree
from aitk.vision.data.options import ImageReading
from aitk.vision.data.quality.box_checks import check_boxes, drop_empty, without
from aitk.vision.data.read_request import MISSING, ReadRequest
from aitk.vision.data.reading_counts import EMPTY_BOXES, PAGES, ReadingCounts
from aitk.vision.data.sidecar_files import SIDECAR_SUFFIXES, is_image
from aitk.vision.data.tables import open_images, read_table
from aitk.vision.data.trees import Folder
from aitk.vision.data.video import is_video
from aitk.vision.features.intensity import from_16_bits

#: Formats stored unchanged.
STORED = ("JPEG", "PNG", "WebP", "BMP")


def read_images(
    sources: Sequence[str],
    reading: ImageReading,
    *,
    annotation_kinds: Collection[str],
    labelled: bool,
    note: Note,
    counts: ReadingCounts | None = None,
) -> Iterator[Row | Refusal]:
    """Stream rows of images; refusals take the place of unusable images.

    Args:
        sources: images, folders, archives, tables, COCO files, videos, patterns such as
            ``*.jpg``, ``-`` for a table on stdin, ``tfds:NAME``.
        annotation_kinds: kinds in a row besides the image: ``label``, ``boxes``, ``mask``; or
            ``score``. With several kinds, a row has at least one of them; a missing label is "", a
            missing mask b"", and ``boxes_known`` is 0 for an image without box annotations.
        labelled: annotations are required. If False, a row has an image alone, and ``Row.record``
            has its name and original record.
        note: receives notes on automatic decisions, each once.
        counts: collects what is omitted.

    Raises:
        DataError: a source is missing or has nothing to read, or its annotations are unreadable.
        UsageError: an option names a column that is not there.
    """
    request = ReadRequest(
        reading, annotation_kinds, labelled, note, ReadingCounts() if counts is None else counts
    )
    request.counts.intensity.given = request.intensity
    known = request.class_list(None) if labelled and "mask" not in annotation_kinds else None
    for source in _expanded(sources):
        for item in _items(source, request):
            yield item if isinstance(item, Refusal) else _row(item, request, known)
    if labelled:
        request.count_unknown_ignored()


def _expanded(sources: Sequence[str]) -> Iterator[str]:
    """The sources, with patterns replaced by the files that match."""
    for source in sources:
        if glob.has_magic(source) and not os.path.exists(source):
            found = sorted(glob.glob(source, recursive=True))
            if not found:
                raise DataError("matches no file", where=source)
            yield from found
        else:
            yield source


def _items(source: str, request: ReadRequest) -> Iterator[Item | Refusal]:
    """The items of a source, read by its kind."""
    if source.startswith(PREFIX):
        yield from read_tfds(
            source,
            label_column=request.option("label_column"),
            annotation_kinds=request.annotation_kinds,
            labelled=request.labelled,
            classes=request.mask_classes(None),
        )
        return
    path = Path(source)
    if source != "-" and os.path.isdir(source):
        yield from read_tree(request.folder(path), request)
        return
    if source != "-":
        check_file(path)
    if source != "-" and is_archive(source):
        with open_archive(path) as tree:
            yield from read_tree(tree, request)
        return
    if source != "-" and (is_image(source) or is_video(source)):
        yield from read_tree(_alone(path, request), request)
        return
    if source != "-" and path.suffix.lower() in (".json", ".xml"):
        found = read_annotation_file(path, request)
        if found is not None:
            yield from found
            return
    yield from _read_table(source, request)


def _alone(path: Path, request: ReadRequest) -> Folder:
    """An image or video with the files of the same name next to it. The folder itself is not
    listed, because it may be very large."""
    names = [path.name]
    if request.required_kinds:
        names += [f"{path.stem}{ending}" for ending in SIDECAR_SUFFIXES]
        names += [*LIST_NAMES, *YAML_NAMES]
    found = [name for name in dict.fromkeys(names) if os.path.isfile(path.parent / name)]
    return request.folder(path.parent, only=found)


def _read_table(source: str, request: ReadRequest) -> Iterator[Item | Refusal]:
    """The images named by a table on disk or on stdin."""
    table = open_images(source, request.reading)
    request.note_all(table.notes)
    root = Path.cwd() if source == "-" else Path(source).parent
    tree = request.folder(root)
    yield from read_table(
        table,
        tree,
        "",
        request.reading,
        annotation_kinds=request.annotation_kinds,
        labelled=request.labelled,
        split=None if source == "-" else split_named(Path(source).name),
        classes=request.mask_classes(None),
        counts=request.counts,
    )


def _row(item: Item, request: ReadRequest, known: ClassList | None) -> Row | Refusal:
    """The validated row of one image, or its refusal."""
    try:
        data = item.image()
        image, is_kept = _decoded(data, item.name, request)
        height, width = image.shape[:2]
        fields = _annotated(item, request, known, height, width)
        shrunk = _shrunk(image, request.reading.largest_side)
        if shrunk is not image or not is_kept:
            lossless = image_format(data) != "JPEG"
            data = encode_png(shrunk) if lossless else encode_jpeg(shrunk)
            fields = _scaled(fields, shrunk.shape[0], shrunk.shape[1], height, width)
        stored = {
            "image": data,
            "name": item.name,
            "height": int(shrunk.shape[0]),
            "width": int(shrunk.shape[1]),
            **_stored(fields, request),
        }
    except DataError as error:
        return Refusal(item.file, item.line, _reason(item, error))
    record = {} if request.labelled else {"image": item.name} | dict(item.record)
    return Row(stored, item.file, item.line, item.split, record)


def _decoded(data: bytes, name: str, request: ReadRequest) -> tuple[np.ndarray, bool]:
    """Decode an image; also return whether its bytes can be stored unchanged."""
    if has_pages(data):
        request.counts.add(PAGES, name)
    if bits_of(data) <= 8:
        return decode_image(data, name), image_format(data) in STORED
    values = decode_deep(data, name)
    image = from_16_bits(values, request.intensity)
    request.counts.intensity.add(values)
    return image, request.intensity is None and image_format(data) in STORED


def _annotated(
    item: Item, request: ReadRequest, known: ClassList | None, height: int, width: int
) -> dict[str, Any]:
    """The annotations of an image, as ``Boxes`` and ``ClassMask``; missing ones are omitted.

    Raises:
        DataError: no required annotation is present, or one does not fit the image.
    """
    if not request.labelled:
        return {}
    if item.size is not None and item.size != (height, width):
        reason = (
            f"its annotation gives the size {item.size[1]} x {item.size[0]},"
            f" but the upright image has {width} x {height}"
        )
        if item.size == (width, height):
            reason += ": its tool ignored the EXIF orientation (annotate upright copies instead)"
        raise DataError(reason)
    found: dict[str, Any] = {}
    label = normalise(item.label) if item.label is not None else ""
    if "label" in request.annotation_kinds and (item.labels is not None or label):
        names = [label] if item.labels is None else item.labels
        found |= {"labels": [*names]} if request.many_labels else {"label": label}
        other = next((name for name in names if known and name not in known.names), None)
        if other and len(request.annotation_kinds) == 1:
            raise DataError(f"its label {shorten(other)!r} is not in --classes")
        if len(label) > MAX_LABEL_CHARACTERS:
            raise DataError(f"its label is longer than {MAX_LABEL_CHARACTERS:,} characters")
    if "score" in request.annotation_kinds and item.score is not None:
        found["score"] = item.score
    if "boxes" in request.annotation_kinds and item.boxes is not None:
        boxes = item.boxes(height, width)
        request.counts.classes.update(boxes.labels)
        boxes = without(boxes, request.ignored)
        boxes, empty = drop_empty(boxes)
        request.counts.add(EMPTY_BOXES, item.name, count=empty)
        max_boxes = getattr(request.reading, "max_boxes", len(boxes.labels))
        if len(boxes.labels) > max_boxes:
            raise DataError(f"it has {len(boxes.labels)} boxes, more than --max-boxes {max_boxes}")
        for at, label in enumerate(boxes.labels):
            if known and label not in known.names:
                raise DataError(f"box {at + 1} has the class {label!r}, which is not in --classes")
        corners = check_boxes(boxes, height=height, width=width)
        crowd = boxes.crowd if request.crowd == "ignore" else (0,) * len(boxes.crowd)
        found["boxes"] = Boxes(corners, boxes.labels, crowd)
    if "mask" in request.annotation_kinds and item.mask is not None:
        found["mask"] = item.mask(height, width)
    if request.annotation_kinds and not found:
        reasons = [MISSING[want] for want in MISSING if want in request.annotation_kinds]
        raise DataError("; ".join(reasons))
    return found


def _shrunk(image: np.ndarray, largest_side: int | None) -> np.ndarray:
    """The image with no side longer than the maximum; unchanged if it already fits."""
    import cv2

    height, width = image.shape[:2]
    if largest_side is None or max(height, width) <= largest_side:
        return image
    scale = largest_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _scaled(
    fields: Mapping[str, Any], height: int, width: int, old_height: int, old_width: int
) -> dict[str, Any]:
    """Annotations scaled to the new size of their image."""
    import cv2

    scaled = dict(fields)
    if "boxes" in fields:
        boxes = fields["boxes"]
        factors = np.array([width / old_width, height / old_height] * 2, np.float32)
        scaled["boxes"] = Boxes(boxes.corners * factors, boxes.labels, boxes.crowd)
    if "mask" in fields:
        mask = fields["mask"]
        numbers = cv2.resize(mask.numbers, (width, height), interpolation=cv2.INTER_NEAREST)
        scaled["mask"] = ClassMask(numbers, mask.names)
    return scaled


def _stored(fields: Mapping[str, Any], request: ReadRequest) -> dict[str, Any]:
    """Annotations as fields of a row."""
    if not request.labelled:
        return {}
    stored: dict[str, Any] = {}
    if request.many_labels:
        stored["labels"] = fields["labels"]
    elif "label" in request.annotation_kinds:
        stored["label"] = fields.get("label", "")
    elif "score" in request.annotation_kinds:
        stored["score"] = fields["score"]
    if "boxes" in request.annotation_kinds:
        boxes = fields.get("boxes") or Boxes(np.zeros((0, 4), np.float32), (), ())
        stored["boxes"] = boxes.corners.astype(np.float32)
        stored["box_labels"] = list(boxes.labels)
        stored["crowd"] = list(boxes.crowd)
        if len(request.annotation_kinds) > 1:
            stored["boxes_known"] = int("boxes" in fields)
    if "mask" in request.annotation_kinds:
        stored["mask"] = encode_mask(fields["mask"]) if "mask" in fields else b""
    return stored


def _reason(item: Item, error: DataError) -> str:
    """Why an image was refused; prefixed with its name if its file lists many images."""
    if Path(item.file).name == posixpath.basename(item.name):
        return error.what
    return f"{item.name}: {error.what}"
