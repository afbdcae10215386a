"""COCO JSON: boxes, polygons and run lengths of images stored elsewhere."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import MAX_LABEL_CHARACTERS, normalise
from aitk.core.contract.rows import Refusal
from aitk.core.io.names import shorten, split_named
from aitk.core.io.values import parse_json, to_number
from aitk.vision.data.class_lists import ClassList
from aitk.vision.data.formats.masks import number_classes
from aitk.vision.data.formats.shapes import BACKGROUND, box_of, drop_degenerate, fill_shapes
from aitk.vision.data.image_finder import ImageFinder, split_of_folders
from aitk.vision.data.items import Boxes, ClassMask, Item
from aitk.vision.data.quality.box_checks import is_true, make_boxes
from aitk.vision.data.reading_counts import (
    CROWD_OUTLINES,
    DEGENERATE_POLYGONS,
    MATCHED,
    NO_OBJECT,
    UNKNOWN_CATEGORY,
    UNKNOWN_IMAGE,
    UNMATCHED,
    VOID_CROWDS,
    ReadingCounts,
)
from aitk.vision.data.trees import Tree
from aitk.vision.features.geometry import VOID

#: COCO's own training annotations have 450 MB.
MAX_BYTES = 4_000_000_000
_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,18})(\.0+)?")

Id = int | str
Annotation = Mapping[str, Any]


@dataclass(frozen=True)
class CocoFile:
    """A COCO file given by the user or found in a tree.

    Attributes:
        where: the path, as the user would write it.
        name: its path below the root of the images' tree; "" if it is elsewhere.
        split: the split given by its name or folder.
        content: the value from ``parse_coco``, or the equivalent from another tool's format.
        sources: the file of each image, if each has one of its own.
        has_ids: whether the ids come from the user's file.
    """

    where: str
    name: str
    split: str | None
    content: Mapping[str, Any]
    sources: Sequence[str] = ()
    has_ids: bool = True

    def place(self, line: int) -> tuple[str, int]:
        """The file and line (from 1) reported for an image."""
        return (self.sources[line - 1], 1) if self.sources else (self.where, line)

    @property
    def folder(self) -> str:
        """Its folder, below the root of the tree."""
        return posixpath.dirname(self.name)


def parse_coco(content: bytes, where: str) -> dict[str, Any] | None:
    """The content of a COCO file; None if it is another kind of JSON.

    Raises:
        DataError: it is not valid JSON.
    """
    content = as_utf8(content)
    if not all(word in content for word in (b'"images"', b'"annotations"', b'"categories"')):
        return None
    try:
        found = parse_json(content)
    except ValueError as error:
        raise DataError(f"is not valid JSON ({error})", where=where) from error
    return found if is_coco(found) else None


def as_utf8(content: bytes) -> bytes:
    """Convert text to UTF-8; PowerShell writes UTF-16 with a byte-order mark."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace").encode("utf-8", errors="replace")
    return content


def is_coco(found: Any) -> bool:
    """Whether a JSON value is the content of a COCO file."""
    names = ("images", "annotations", "categories")
    return isinstance(found, dict) and all(isinstance(found.get(name), list) for name in names)


def read_coco(
    file: CocoFile,
    tree: Tree,
    names: Sequence[str],
    *,
    annotation_kinds: Collection[str],
    ignored: Collection[str],
    crowd: str = "ignore",
    counts: ReadingCounts,
) -> Iterator[Item | Refusal]:
    """The images listed in a COCO file, in file order.

    Args:
        tree: the tree of the images.
        names: the names of all images in it.
        annotation_kinds: annotations to create: ``boxes``, ``mask``.
        ignored: classes excluded from masks.
        crowd: how masks show crowd regions: ``objects`` of their class, or ``ignore`` (void).
        counts: collects skipped annotations.

    Raises:
        DataError: its categories have no ids and names.
    """
    images = file.content["images"]
    categories = category_names(file)
    if file.has_ids:
        counts.add_categories(category_ids(file))
    counts.classes.update(categories.values())
    ordered = tuple(dict.fromkeys(categories.values()))
    classes = ClassList((BACKGROUND, *ordered), ignored=frozenset(ignored))
    make = _Annotations(categories, classes, crowd, counts)
    ids = _Ids(images)
    found = _by_image(file.content["annotations"], ids, categories, counts)
    # A file with boxes alone gives no mask, not even an empty one.
    has_mask = "mask" in annotation_kinds and (
        len(annotation_kinds) == 1 or tells_outlines(file.content)
    )
    finder = finder_of(file, names)
    for at, image in enumerate(images, 1):
        where, line = file.place(at)
        notes = found.get(ids.key(image.get("id") if isinstance(image, dict) else None), [])
        try:
            ids.check(image)
            if problem := not file.has_ids and image.get("problem"):
                raise DataError(problem)
            name = finder.find(_file_name(image))
            counts.add(MATCHED, count=len(notes))
            yield Item(
                image=lambda name=name: tree.read(name),  # type: ignore[misc]
                name=name,
                file=where,
                line=line,
                split=_split_of(image) or file.split or split_of_folders(name),
                boxes=make.boxes(notes) if "boxes" in annotation_kinds else None,
                mask=make.mask(notes, name) if has_mask else None,
                size=_size(image),
                record={"image_id": image["id"]} if file.has_ids and "id" in image else {},
            )
        except DataError as error:
            counts.add(UNMATCHED, count=len(notes))
            yield Refusal(where, line, error.what)


def category_names(file: CocoFile) -> dict[Id, str]:
    """Category id -> name, ordered by id, numbers first.

    Raises:
        DataError: a category has no id or no name.
    """
    found: dict[Id, str] = {}
    for category in file.content["categories"]:
        known = isinstance(category, dict) and isinstance(category.get("name"), str | int)
        number = id_value(category.get("id")) if known else None
        if number is None:
            raise DataError("has categories without id and name", where=file.where)
        name = normalise(str(category["name"]))
        if len(name) > MAX_LABEL_CHARACTERS:
            reason = f"has a category of over {MAX_LABEL_CHARACTERS:,} characters"
            raise DataError(reason, where=file.where)
        if found.setdefault(number, name) != name:
            raise DataError(f"has two categories of the id {number}", where=file.where)
    return dict(sorted(found.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def category_ids(file: CocoFile) -> dict[str, Id]:
    """Category name -> id as the file writes it; the first one for duplicates.

    Raises:
        DataError: a category has no id or no name.
    """
    category_names(file)
    found: dict[str, Id] = {}
    for category in file.content["categories"]:
        found.setdefault(normalise(str(category["name"])), category["id"])
    return found


def image_ids(file: CocoFile, names: Sequence[str]) -> dict[str, Id]:
    """Image -> its id in the file, for unambiguous images only."""
    found: dict[str, Id] = {}
    finder = finder_of(file, names)
    for image in file.content["images"]:
        try:
            name = finder.find(_file_name(image))
        except DataError:  # missing images get no prediction
            continue
        if id_value(image.get("id")) is not None:
            found[name] = image["id"]
    return found


def finder_of(file: CocoFile, names: Sequence[str]) -> ImageFinder:
    """The finder for the images of a file."""
    named = [image.get("file_name") for image in file.content["images"] if isinstance(image, dict)]
    paths = [path for path in named if isinstance(path, str)]
    return ImageFinder(names, folder=file.folder, paths=paths, split=file.split)


def tells_outlines(coco: Mapping[str, Any]) -> bool:
    """Whether any annotation has a segmentation, so that masks can be created."""
    return any(
        isinstance(note, dict) and bool(note.get("segmentation")) for note in coco["annotations"]
    )


def id_value(value: Any) -> Id | None:
    """Normalise an id: 5, 5.0 and "5" are equal; None if it is not an id."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        number = _WHOLE_NUMBER.fullmatch(value.strip())
        return int(number[1]) if number else value.strip() or None
    return value if isinstance(value, int) else None


class _Ids:
    """The image ids of a file, compared by normalised value unless that merges two of them."""

    def __init__(self, images: Sequence[Any]):
        named: defaultdict[Id | None, set[str]] = defaultdict(set)
        for image in images:
            if isinstance(image, dict) and (number := id_value(image.get("id"))) is not None:
                named[number].add(str(image["id"]))
        self._as_written = {text for texts in named.values() if len(texts) > 1 for text in texts}
        listed = Counter(self.key(image.get("id")) for image in images if isinstance(image, dict))
        self._repeated = {key for key, count in listed.items() if count > 1 and key is not None}
        self.known = set(listed)

    def key(self, value: Any) -> Id | None:
        text = str(value)
        return f"'{text}'" if text in self._as_written else id_value(value)

    def check(self, image: Any) -> None:
        """Raise ``DataError`` if another image has the same id: its annotations are ambiguous."""
        key = self.key(image.get("id")) if isinstance(image, dict) else None
        if key in self._repeated:
            raise DataError(f"another image has the same id {shorten(str(image['id']))}")


def _by_image(
    annotations: Sequence[Any], ids: _Ids, names: Mapping[Id, str], counts: ReadingCounts
) -> Mapping[Id | None, list[Annotation]]:
    """Group annotations by image; annotations of unknown images are counted."""
    found: defaultdict[Id | None, list[Annotation]] = defaultdict(list)
    for at, annotation in enumerate(annotations, 1):
        if not isinstance(annotation, dict):
            counts.add(NO_OBJECT, f"annotation {at}")
            continue
        key = ids.key(annotation.get("image_id"))
        if key is None or key not in ids.known:
            counts.add(UNKNOWN_IMAGE, f"image_id {str(annotation.get('image_id'))[:40]}")
            continue
        if id_value(annotation.get("category_id")) not in names:
            counts.add(UNKNOWN_CATEGORY, f"category_id {str(annotation.get('category_id'))[:40]}")
        found[key].append(annotation)
    return found


def _file_name(image: Any) -> str:
    name = image.get("file_name") if isinstance(image, dict) else None
    if not isinstance(name, str) or not name.strip("./\\ "):
        raise DataError("has an image without file_name")
    return name


def _split_of(image: Mapping[str, Any]) -> str | None:
    """The split stored in an image entry, as some exports write it."""
    split = image.get("split")
    return split_named(split) if isinstance(split, str) else None


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = id_value(image.get("height")), id_value(image.get("width"))
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None


@dataclass(frozen=True)
class _Annotations:
    """Creates the boxes and masks of an image from its annotations."""

    names: Mapping[Id, str]
    classes: ClassList
    crowd: str
    counts: ReadingCounts

    def boxes(self, notes: Sequence[Annotation]) -> Callable[[int, int], Boxes]:
        def make(height: int, width: int) -> Boxes:
            corners, labels, crowd = [], [], []
            for at, note in enumerate(notes, 1):
                label = self._class_of(note)
                box = note.get("bbox")
                if box or not note.get("segmentation"):
                    corners.append(_corners(box, f"box {at} ({shorten(label)})"))
                else:
                    outline, dropped = drop_degenerate(note["segmentation"])
                    self.counts.add(DEGENERATE_POLYGONS, count=dropped)
                    if dropped and not outline:
                        continue
                    corners.append(box_of(outline, height=height, width=width))
                labels.append(label)
                crowd.append(is_true(note.get("iscrowd")))
            return make_boxes(corners, labels, crowd)

        return make

    def mask(self, notes: Sequence[Annotation], name: str) -> Callable[[int, int], ClassMask]:
        def make(height: int, width: int) -> ClassMask:
            shapes = []
            for note in notes:
                number = self.classes.names.index(self._class_of(note))
                if not note.get("segmentation"):
                    raise DataError("has an annotation without an outline")
                outline, dropped = drop_degenerate(note["segmentation"])
                self.counts.add(DEGENERATE_POLYGONS, name, count=dropped)
                if is_true(note.get("iscrowd")):
                    void = self.crowd == "ignore"
                    self.counts.add(VOID_CROWDS if void else CROWD_OUTLINES, name)
                    number = VOID if void else number
                if outline:
                    shapes.append((number, outline))
            return number_classes(fill_shapes(shapes, height=height, width=width), self.classes)

        return make

    def _class_of(self, note: Annotation) -> str:
        number = id_value(note.get("category_id"))
        if number is None or number not in self.names:
            category = str(note.get("category_id"))[:40]
            raise DataError(f"has an annotation of the unknown category {category}")
        return self.names[number]


def _corners(box: Any, what: str) -> list[float]:
    """The corners of a box given as x, y, width, height."""
    try:
        left, top, across, down = map(to_number, box)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} is not x, y, width, height") from error
    return [left, top, left + across, top + down]
