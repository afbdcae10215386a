"""COCO JSON: boxes, polygons and run lengths of pictures that lie elsewhere."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from aitk.core.errors import DataError
from aitk.core.names import shorten
from aitk.core.rows import Refusal
from aitk.core.split_names import split_named
from aitk.core.values import parse_json, to_number
from aitk.vision.box_checks import make_boxes
from aitk.vision.class_lists import ClassList
from aitk.vision.items import Boxes, ClassMask, Item
from aitk.vision.masks import number_classes
from aitk.vision.shapes import BACKGROUND, box_of, fill_shapes
from aitk.vision.trees import Tree

#: COCO's own training file has 450 MB.
MOST_BYTES = 4_000_000_000


def parse_coco(content: bytes, where: str) -> dict[str, Any] | None:
    """The content of a COCO file; None where it is another kind of JSON.

    Raises:
        DataError: it is no JSON.
    """
    if not all(word in content for word in (b'"images"', b'"annotations"', b'"categories"')):
        return None
    try:
        found = parse_json(content)
    except ValueError as error:
        raise DataError(f"is no JSON ({error})", where=where) from error
    if not isinstance(found, dict):
        return None
    parts = (found.get(name) for name in ("images", "annotations", "categories"))
    return found if all(isinstance(part, list) for part in parts) else None


def read_coco(
    coco: Mapping[str, Any],
    where: str,
    tree: Tree,
    pictures: Sequence[str],
    *,
    wants: Collection[str],
    ignored: Collection[str],
) -> Iterator[Item | Refusal]:
    """The pictures that a COCO file names, in its order.

    Args:
        coco: what ``parse_coco`` gave of the file ``where``.
        tree: where the pictures lie.
        pictures: the names of all pictures in it.
        wants: what is made of annotations: ``boxes``, ``mask``.
        ignored: classes that are left out of masks.

    Raises:
        DataError: its categories have no ids and names.
    """
    try:
        names = {item["id"]: str(item["name"]) for item in coco["categories"]}
        ordered = [names[key] for key in sorted(names)]
    except (TypeError, KeyError) as error:
        raise DataError("has categories without id and name", where=where) from error
    classes = ClassList((BACKGROUND, *ordered), ignored=frozenset(ignored))
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for annotation in coco["annotations"]:
        if isinstance(annotation, dict):
            found[_id(annotation, "image_id")].append(annotation)
    # Of a file of boxes alone no mask follows, not even an empty one.
    outlined = len(wants) == 1 or tells_outlines(coco)
    split = split_named(posixpath.basename(where.replace("\\", "/")))
    files = _Files(pictures, split)
    for line, image in enumerate(coco["images"], 1):
        try:
            name = files.find(image)
            notes = found.get(_id(image, "id"), [])
            has_mask = "mask" in wants and outlined
            yield Item(
                picture=lambda name=name: tree.read(name),  # type: ignore[misc]
                name=name,
                file=where,
                line=line,
                split=split or split_of_folders(name),
                boxes=_box_maker(notes, names) if "boxes" in wants else None,
                mask=_mask_maker(notes, names, classes) if has_mask else None,
                size=_size(image),
            )
        except DataError as error:
            yield Refusal(where, line, error.what)


def tells_outlines(coco: Mapping[str, Any]) -> bool:
    """Whether any annotation has more than a box, so that masks can be made of them."""
    return any(
        isinstance(note, dict) and bool(note.get("segmentation")) for note in coco["annotations"]
    )


def split_of_folders(name: str) -> str | None:
    """The split that a folder above a file names, as in ``images/val2017/1.jpg``."""
    folders = name.split("/")[-2::-1]
    return next(filter(None, map(split_named, folders)), None)


class _Files:
    """Finds the picture that ``file_name`` means, wherever its folders begin."""

    def __init__(self, pictures: Sequence[str], split: str | None):
        self._split = split
        self._named: defaultdict[str, list[str]] = defaultdict(list)
        for name in pictures:
            self._named[posixpath.basename(name)].append(name)

    def find(self, image: Any) -> str:
        told = image.get("file_name") if isinstance(image, dict) else None
        if not isinstance(told, str) or not told:
            raise DataError("an image without file_name")
        told = posixpath.normpath(told.replace("\\", "/"))
        found = self._named.get(posixpath.basename(told), [])
        if not found:
            raise DataError(f"there is no picture {shorten(told)}")
        return max(
            found,
            key=lambda name: (_shared(name, told), split_of_folders(name) == self._split),
        )


def _shared(name: str, told: str) -> int:
    """How many parts of two paths agree, from the end."""
    count = 0
    for left, right in zip(reversed(name.split("/")), reversed(told.split("/")), strict=False):
        if left != right:
            break
        count += 1
    return count


def _id(item: Mapping[str, Any], name: str) -> int | str | None:
    """What identifies a part of the file; a number or a string."""
    value = item.get(name)
    return value if isinstance(value, int | str) else None


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None


def _box_maker(
    notes: Sequence[Mapping[str, Any]], names: Mapping[Any, str]
) -> Callable[[int, int], Boxes]:
    def make(height: int, width: int) -> Boxes:
        del height, width  # COCO counts in pixels
        corners, labels, crowd = [], [], []
        for at, note in enumerate(notes, 1):
            labels.append(_class_of(note, names))
            crowd.append(bool(note.get("iscrowd")))
            box = note.get("bbox")
            if box is None and not isinstance(note.get("segmentation"), dict):
                corners.append(box_of(note.get("segmentation")))
                continue
            try:
                left, top, across, down = map(to_number, box)  # type: ignore[arg-type]
            except (TypeError, ValueError) as error:
                reason = f"box {at} ({shorten(labels[-1])}) is not x, y, width, height"
                raise DataError(reason) from error
            corners.append([left, top, left + across, top + down])
        return make_boxes(corners, labels, crowd)

    return make


def _mask_maker(
    notes: Sequence[Mapping[str, Any]], names: Mapping[Any, str], classes: ClassList
) -> Callable[[int, int], ClassMask]:
    def make(height: int, width: int) -> ClassMask:
        shapes = [
            (classes.names.index(_class_of(note, names)), note["segmentation"])
            for note in notes
            if note.get("segmentation")
        ]
        if len(shapes) < len(notes):
            raise DataError("has an annotation without an outline")
        return number_classes(fill_shapes(shapes, height=height, width=width), classes)

    return make


def _class_of(note: Mapping[str, Any], names: Mapping[Any, str]) -> str:
    number = _id(note, "category_id")
    if number not in names:
        raise DataError(f"has an annotation of the unknown category {number}")
    return names[number]
