"""Pascal VOC: one XML file of boxes per image, and lists of images per split."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from aitk.core.contract.errors import DataError
from aitk.core.io.names import shorten
from aitk.core.io.values import to_number
from aitk.vision.data.items import Boxes
from aitk.vision.data.quality.box_checks import make_boxes
from aitk.vision.data.sidecar_files import is_image
from aitk.vision.data.trees import Tree

MAX_BYTES = 10_000_000
#: Image lists and their splits; later ones win.
LISTS = {"trainval": "train", "train": "train", "val": "validation", "test": "test"}


def parse_xml(content: bytes) -> ElementTree.Element:
    """Parse an untrusted XML file.

    Raises:
        DataError: it is not XML, or declares entities, which could expand without bound.
    """
    try:
        # Decode UTF-16 first: its declarations would be invisible in the raw bytes.
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if is_utf16 else "latin-1")
        if "<!DOCTYPE" in text or "<!ENTITY" in text or "\0" in text:
            raise DataError("declares a document type or entities, which are not supported")
        return ElementTree.fromstring(text if is_utf16 else content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"is not valid XML ({error})") from error


def parse_voc(content: bytes) -> tuple[Boxes, tuple[int, int] | None]:
    """The boxes of one XML file, and the (height, width) it declares.

    VOC numbers pixels from 1 and includes the last one (VOC 2012 development kit, section 8.3), so
    the right edge of a box that ends at the image border equals the width.

    Raises:
        DataError: it is not Pascal VOC XML.
    """
    root = parse_xml(content)
    corners, labels, crowd = [], [], []
    for at, thing in enumerate(root.iter("object"), 1):
        label = (thing.findtext("name") or "").strip()
        box = thing.find("bndbox")
        try:
            left, top, right, bottom = (
                to_number(box.findtext(name) or "")  # type: ignore[union-attr]
                for name in ("xmin", "ymin", "xmax", "ymax")
            )
        except (ValueError, AttributeError) as error:
            raise DataError(f"box {at} ({shorten(label)}) lacks one of its four numbers") from error
        corners.append([left - 1, top - 1, right, bottom])
        labels.append(label)
        crowd.append((thing.findtext("difficult") or "0").strip() == "1")
    return make_boxes(corners, labels, crowd), _size(root)


def listed_splits(tree: Tree, *, segmentation: bool) -> dict[str, str]:
    """Image name without folder and suffix -> the split of the ImageSets list that names it.

    Args:
        segmentation: prefer the lists of images with masks.
    """
    groups = ["Main", "Segmentation", "Layout", ""]
    if segmentation:
        groups[:2] = groups[1::-1]
    found: dict[str, dict[str, str]] = {}
    for name in tree.names:
        folder, file = posixpath.split(name)
        stem, ending = posixpath.splitext(file)
        parts = folder.split("/")
        if ending != ".txt" or stem not in LISTS or "ImageSets" not in parts[-2:]:
            continue
        found.setdefault(parts[-1] if parts[-1] != "ImageSets" else "", {})[stem] = name
    for group in groups:
        if group in found:
            return _split_by(tree, found[group])
    return {}


def _split_by(tree: Tree, lists: Mapping[str, str]) -> dict[str, str]:
    splits: dict[str, str] = {}
    for stem, split in LISTS.items():
        if stem in lists:
            text = tree.read(lists[stem], max_bytes=MAX_BYTES).decode("utf-8-sig", errors="replace")
            splits |= {_listed(line): split for line in text.splitlines() if line.strip()}
    return splits


def _listed(line: str) -> str:
    """The image name in a line, without its suffix or the -1, 0, 1 of a per-class list."""
    name = re.sub(r"\s+-?[01]$", "", line.strip())
    return posixpath.splitext(name)[0] if is_image(name) else name


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        height = int(root.findtext("size/height") or 0)
        width = int(root.findtext("size/width") or 0)
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None
