"""Annotation files that cover many images: COCO, labelme, CVAT, Label Studio.

Files are recognised by content and read as COCO. For formats of other tools, the error names the
export to choose instead.
"""

from __future__ import annotations

import math
import os
import posixpath
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.io.names import split_named
from aitk.core.io.values import parse_json
from aitk.vision.data.formats.coco import MAX_BYTES, CocoFile, as_utf8, is_coco
from aitk.vision.data.formats.coco_content import CocoContent, points
from aitk.vision.data.formats.cvat import MAX_BYTES as MAX_XML_BYTES
from aitk.vision.data.formats.cvat import parse_cvat
from aitk.vision.data.formats.label_studio import is_label_studio, parse_label_studio
from aitk.vision.data.image_finder import split_of_folders, split_of_root
from aitk.vision.data.reading_counts import NO_AREA, ReadingCounts
from aitk.vision.data.sidecar_files import name_key, place_of
from aitk.vision.data.trees import Folder, Tree

#: A JSON file is parsed only if it contains these words.
_COCO_WORDS = (b'"images"', b'"annotations"', b'"categories"')
_LABELME_WORDS = (b'"shapes"', b'"image')
_LABEL_STUDIO_WORD = b'labels"'
#: Format of a tool -> the words that identify it.
_UNREAD = {
    "VIA": (b'"shape_attributes"', b'"region_attributes"'),
    "Supervisely": (b'"classTitle"', b'"geometryType"'),
    "CreateML": (b'"coordinates"', b'"annotations"'),
    "Datumaro": (b'"dm_format_version"',),
    "BDD100K": (b'"box2d"',),
    "Labelbox": (b'"data_row"', b'"projects"'),
    "COCO without categories": (b'"images"', b'"annotations"'),
}
_UNREAD_SUFFIXES = {".tfrecord": "TFRecord", ".tfrecords": "TFRecord", ".rec": "RecordIO"}
_EXPORT = "Export COCO, Pascal VOC or YOLO from the tool that wrote it"


@dataclass
class AnnotationFiles:
    """The annotation files of a tree.

    Attributes:
        files: the supported files.
        names: their names in the tree.
        unread: the error for an unsupported file, if no supported one was found.
    """

    files: list[CocoFile] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    unread: DataError | None = None


def find_annotation_files(
    tree: Tree, images: Sequence[str], chosen: str | None, counts: ReadingCounts
) -> AnnotationFiles:
    """The annotation files to read: the chosen one, or all in the tree.

    Args:
        chosen: the path of a file, or its name in the tree; None: all files.
        counts: collects skipped shapes.

    Raises:
        DataError: the chosen file is not an annotation file, or a file is damaged.
    """
    found = AnnotationFiles()
    if chosen and os.path.isfile(chosen):
        file = read_named(Path(chosen), tree, lambda: images, counts)
        if file is None:
            reason = "has no images, annotations and categories, and no other supported format"
            raise DataError(reason, where=chosen, hint=_EXPORT)
        found.files, found.names = [file], [file.name]
        return found
    labelme: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
    places = set(map(place_of, images))
    for name in tree.names:
        if chosen is not None and name != chosen:
            continue
        where, suffix = tree.location(name), posixpath.splitext(name)[1].lower()
        content: Mapping[str, Any] | None = None
        value = None
        if suffix == ".json":
            data = tree.read(name, max_bytes=MAX_BYTES)
            try:
                value = _json_value(data, where)
            except DataError as error:
                if place_of(name) not in places:
                    raise
                value = error  # only the image of this file is refused
            content = _as_coco(value, where, counts)
            if content is None and not _is_of_one_image(value):
                found.unread = found.unread or _unread(data, where)
        elif suffix == ".xml" and place_of(name) not in places:  # files of single images are VOC
            content = _cvat(tree.read(name, max_bytes=MAX_XML_BYTES), where, counts)
        elif suffix in _UNREAD_SUFFIXES:
            reason = f"is {_UNREAD_SUFFIXES[suffix]}, which is not supported"
            found.unread = found.unread or DataError(reason, where=where)
        if _is_of_one_image(value):
            labelme[posixpath.dirname(name)].append((name, value))
        if content is not None:
            found.files.append(_file(name, where, content, tree, has_ids=is_coco(value)))
            found.names.append(name)
    for folder, files in labelme.items():
        found.files.append(_labelme(folder, files, tree, images, counts))
        found.names += [name for name, _ in files]
    return found


def read_named(
    path: Path, tree: Tree, images: Callable[[], Sequence[str]], counts: ReadingCounts
) -> CocoFile | None:
    """An annotation file given by the user; None if it is another kind of file.

    Args:
        images: lists the images of the tree, for files that need them.

    Raises:
        DataError: the file is damaged, or its format is not supported.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=str(path)) from error
    where, name = str(path), _name_in(tree, path)
    if path.suffix.lower() == ".xml":
        content = _cvat(data, where, counts)
        if content is None:
            return None
        return _file(name, where, content, tree, has_ids=False)
    value = _json_value(data, where)
    if is_labelme(value):
        return _labelme(posixpath.dirname(name), [(name, value)], tree, images(), counts)
    content = _as_coco(value, where, counts)
    if content is None:
        if unread := _unread(data, where):
            raise unread
        return None
    return _file(name, where, content, tree, has_ids=is_coco(value))


def _is_of_one_image(value: Any) -> bool:
    """Whether a JSON value is labelme content, or an error that explains why it is not."""
    return is_labelme(value) or isinstance(value, DataError)


def _file(
    name: str, where: str, content: Mapping[str, Any], tree: Tree, *, has_ids: bool
) -> CocoFile:
    split = split_named(posixpath.basename(name or where)) or split_of_folders(name)
    return CocoFile(where, name, split or split_of_root(tree), content, has_ids=has_ids)


def _json_value(data: bytes, where: str) -> Any:
    """The value of a JSON file that may hold annotations, else None."""
    data = as_utf8(data)
    is_certain = any(all(word in data for word in words) for words in (_COCO_WORDS, _LABELME_WORDS))
    if not is_certain and _LABEL_STUDIO_WORD not in data:
        return None
    try:
        return parse_json(data)
    except ValueError as error:
        if not is_certain:  # a table of JSON lines, say
            return None
        raise DataError(f"is not valid JSON ({error})", where=where) from error


def _as_coco(value: Any, where: str, counts: ReadingCounts) -> Mapping[str, Any] | None:
    """The annotations of many images in COCO form; None if there are none."""
    if is_coco(value):
        return value
    if is_label_studio(value):
        return _counted(parse_label_studio(value), where, counts)
    return None


def _cvat(data: bytes, where: str, counts: ReadingCounts) -> Mapping[str, Any] | None:
    try:
        found = parse_cvat(data)
    except DataError as error:
        raise DataError(error.what, where=where, hint=error.hint) from error
    return None if found is None else _counted(found, where, counts)


def _labelme(
    folder: str,
    files: Sequence[tuple[str, Any]],
    tree: Tree,
    images: Sequence[str],
    counts: ReadingCounts,
) -> CocoFile:
    """The labelme files of one folder. Images renamed together with their file are found too.

    Args:
        files: name and content, or the error for a file that cannot be read.
    """
    found = CocoContent()
    names = {name_key(posixpath.basename(name)) for name in images}
    of_place = {place_of(name): name for name in images}
    for name, value in files:
        if isinstance(value, DataError):
            with found.image(of_place[place_of(name)]):
                raise value
            continue
        path = str(value.get("imagePath") or "").replace("\\", "/")
        if name_key(posixpath.basename(path)) not in names:
            path = of_place.get(place_of(name), path)
        add_labelme(value, path, found)
    where = tree.location(files[0][0])
    content = _counted(found, where, counts)
    sources = [tree.location(name) for name, _ in files]
    split = split_of_folders(f"{folder}/x") or split_of_root(tree)
    return CocoFile(where, f"{folder}/x".lstrip("/"), split, content, sources, has_ids=False)


def _counted(found: CocoContent, where: str, counts: ReadingCounts) -> Mapping[str, Any]:
    counts.add(NO_AREA, where, count=found.left_out)
    return found.content()


def _unread(data: bytes, where: str) -> DataError | None:
    """The error for a file of an unsupported tool."""
    for tool, words in _UNREAD.items():
        if all(word in data for word in words):
            return DataError(f"is {tool}, which is not supported", where=where, hint=_EXPORT)
    return None


def _name_in(tree: Tree, path: Path) -> str:
    """The name of a file below the tree's root; "" if it is elsewhere."""
    if not isinstance(tree, Folder):
        return ""
    full, root = path.resolve(), tree.root.resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else ""


# labelme: a JSON file of shapes for each image -----------------------------


def is_labelme(found: Any) -> bool:
    """Whether a JSON value is the content of a labelme file."""
    return isinstance(found, dict) and isinstance(found.get("shapes"), list) and (
        "imagePath" in found or "imageData" in found
    )  # fmt: skip


def add_labelme(found: dict[str, Any], name: str, content: CocoContent) -> None:
    """Add the content of one file.

    Args:
        name: name of the image.
    """
    with content.image(name, (found.get("imageHeight"), found.get("imageWidth"))):
        for shape in found["shapes"]:
            _add_shape(shape, content)


def _add_shape(shape: Any, content: CocoContent) -> None:
    corners = shape.get("points") if isinstance(shape, dict) else None
    if not isinstance(corners, list):
        raise DataError("has a shape without points")
    label, kind = shape.get("label"), shape.get("shape_type") or "polygon"
    if kind in ("rectangle", "mask") and len(corners) == 2:
        content.add_box(label, *corners, fills=kind == "rectangle")
    elif kind == "circle" and len(corners) == 2:
        centre, edge = points(corners)
        radius = math.dist(centre, edge)
        content.add_ellipse(label, centre, (radius, radius))
    elif kind in ("polygon", "rectangle"):
        content.add_polygon(label, corners)
    else:
        content.leave_out()
