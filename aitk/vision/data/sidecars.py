"""Annotation files of single images: masks, boxes, outlines."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.vision.data.class_lists import LIST_NAMES
from aitk.vision.data.formats.masks import mask_reader
from aitk.vision.data.formats.voc import MAX_BYTES as MAX_XML_BYTES
from aitk.vision.data.formats.voc import parse_voc
from aitk.vision.data.formats.yolo_text import MAX_BYTES as MAX_TEXT_BYTES
from aitk.vision.data.formats.yolo_text import box_maker, mask_maker, parse_yolo
from aitk.vision.data.read_request import ReadRequest
from aitk.vision.data.reading_counts import DEGENERATE_POLYGONS, ORPHAN_FILES
from aitk.vision.data.sidecar_files import (
    Place,
    find_boxes,
    find_images,
    is_image,
    pair,
    pair_elsewhere,
    place_of,
)
from aitk.vision.data.trees import Tree


class Masks:
    """The mask files of a tree, or of the folder in the options.

    Attributes:
        found: the place of an image -> its mask; empty if masks are not read.
    """

    def __init__(self, tree: Tree, found: Mapping[Place, str], request: ReadRequest):
        self.found = found if "mask" in request.required_kinds else {}
        self._tree = tree
        if "mask" in request.required_kinds and (folder := request.option("masks")):
            if not os.path.isdir(folder):
                raise DataError("is not a folder", where=folder)
            self._tree = request.folder(Path(folder))
            places = map(place_of, find_images(tree.names, {}))
            self.found = pair_elsewhere(filter(is_image, self._tree.names), places)
        self._classes = request.mask_classes(tree if self.found else None)
        self._binary = request.binary

    def of(self, place: Place) -> Any:
        """The function that reads the mask of an image, or None."""
        name = self.found.get(place)
        if name is None:
            return None
        return mask_reader(self._tree, name, self._classes, binary=self._binary)


class Boxes:
    """The XML and text files of a tree, or of the folder in the options.

    Attributes:
        used: files that match an image.
    """

    def __init__(self, tree: Tree, places: Sequence[Place], request: ReadRequest):
        self._tree, self._counts = tree, request.counts
        files = find_boxes(tree.names)
        folder = request.option("annotations")
        if folder and os.path.isdir(folder):
            self._tree = request.folder(Path(folder))
            files = find_boxes(self._tree.names)
            self._files = pair_elsewhere(files.values(), places)
        elif folder and not any(name.startswith(f"{folder.rstrip('/')}/") for name in tree.names):
            raise DataError("no such file or folder of annotations", where=folder)
        else:
            self._files = pair(files, places)
        self.used = set(self._files.values())
        self._unused = sorted(set(files.values()) - self.used)
        self._classes = None
        if any(name.lower().endswith(".txt") for name in self._files.values()):
            self._classes = request.class_list(self._tree) or request.class_list(tree)

    def count_orphans(self) -> None:
        """Count the annotation files that match no image."""
        folders = {posixpath.dirname(name) for name in self.used}
        for name in self._unused:
            folder, file = posixpath.split(name)
            if folder in folders and file.lower() not in LIST_NAMES:
                self._counts.add(ORPHAN_FILES, name)

    def of(self, place: Place) -> Any:
        """The function that computes the boxes of an image, and the size declared for it."""
        name = self._name(place)
        if name is None:
            return None, None
        if name.lower().endswith(".xml"):
            boxes, size = parse_voc(self._tree.read(name, max_bytes=MAX_XML_BYTES))
            return (lambda height, width: boxes), size
        return box_maker(self._objects(name)), None

    def mask_of(self, place: Place) -> Any:
        """The function that draws the mask of an image from polygons, or None."""
        name = self._name(place)
        if name is None or not name.lower().endswith(".txt") or self._classes is None:
            return None
        objects = self._objects(name)
        outlines = [item for item in objects if len(item[1]) >= 3]
        if objects and not outlines:  # boxes give no outline
            return None
        self._counts.add(DEGENERATE_POLYGONS, name, count=len(objects) - len(outlines))
        return mask_maker(outlines, self._classes)

    def _name(self, place: Place) -> str | None:
        return self._files.get(place)

    def _objects(self, name: str) -> Any:
        if self._classes is None:
            hint = "Use --classes FILE, or put classes.txt or data.yaml next to them"
            raise DataError("its classes are numbers without names", hint=hint)
        content = self._tree.read(name, max_bytes=MAX_TEXT_BYTES)
        return parse_yolo(content, self._classes)
