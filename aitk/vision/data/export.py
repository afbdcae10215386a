"""Export of prepared images and annotations as COCO, Pascal VOC or YOLO."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.drafts import draft_folder
from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.contract.progress import Reporter
from aitk.core.io.images import encode_jpeg, encode_png, image_format
from aitk.core.io.names import fit_name
from aitk.vision.data.class_lists import LIST_NAMES
from aitk.vision.data.formats.masks import encode_mask, numbered_by
from aitk.vision.data.formats.run_lengths import encode_runs
from aitk.vision.data.formats.shapes import BACKGROUND
from aitk.vision.data.items import ClassMask
from aitk.vision.features.geometry import VOID

SUFFIX_OF = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "BMP": ".bmp"}
#: Names of the splits in the formats.
SPLIT_NAMES = {"train": "train", "validation": "val", "test": "test"}


def export_data(
    data: Path, out: Path, *, format: str, overwrite: bool = False, reporter: Reporter
) -> dict[str, Any]:
    """Export a prepared data folder; ``out`` appears only when complete.

    Returns:
        The output path, the counts of images, boxes and masks, and what was omitted.

    Raises:
        ArtifactError: there is no such prepared data.
        DataError: its rows have neither boxes nor masks.
        UsageError: ``out`` exists, or the format cannot hold what the rows have.
    """
    prepared = load_data(data)
    sets = prepared.summary.get("label_sets", {})
    rows = {split: prepared.rows(split) for split in prepared.splits}
    fields = next(iter(rows.values()))[0]
    labels = prepared.summary.get("labels", [])
    boxes = sets.get("boxes", labels if "boxes" in fields else [])
    masks = sets.get("mask", labels if "mask" in fields else [])
    tracked = {
        split: reporter.track(each, f"writing {split}", total=len(each))
        for split, each in rows.items()
    }
    with draft_folder(out, inputs=[data], overwrite=overwrite) as folder:
        written = export_annotations(
            tracked, folder, format=format, box_labels=boxes, mask_labels=masks
        )
    return {"out": str(out), "format": format, **written}


def export_annotations(
    splits: Mapping[str, Iterable[Mapping[str, Any]]],
    folder: Path,
    *,
    format: str,
    box_labels: Sequence[str],
    mask_labels: Sequence[str],
) -> dict[str, Any]:
    """Write prepared rows into a folder, one row at a time.

    Image bytes are copied unchanged, except that images with an EXIF rotation are written upright
    to match their annotations.

    Args:
        splits: split name -> its rows, with ``boxes`` or ``mask`` or both.
        folder: an empty folder.
        format: ``coco`` (boxes and masks), ``voc`` (the same) or ``yolo`` (boxes).
        box_labels: box classes by number.
        mask_labels: mask classes by number.

    Returns:
        The counts of images, boxes and masks, and of annotations that the format cannot hold.

    Raises:
        DataError: the rows have neither boxes nor masks.
        UsageError: the rows have only masks, and the format has none.
    """
    if not box_labels and not mask_labels:
        raise DataError("its rows have neither boxes nor masks: there is nothing to export")
    writer = WRITERS[format](folder, box_labels, mask_labels)
    names = _Names()
    for split, rows in splits.items():
        for fields in rows:
            data = _upright(fields["image"])
            stem = names.free(fields["name"])
            writer.add(SPLIT_NAMES[split], stem, data, fields)
    writer.finish()
    return {what: count for what, count in writer.written.items() if count}


class _Names:
    """Unique file names derived from row names."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def free(self, name: str) -> str:
        """The base name without its suffix; a number is appended if it is in use."""
        stem = re.sub(r"\.\w{1,5}$", "", name.replace("\\", "/").rpartition("/")[2])
        stem = fit_name(re.sub(r"[^\w-]+", "_", stem).strip("_") or "image")
        found, number = stem, 1
        while found in self._taken:
            number += 1
            found = f"{stem}_{number}"
        self._taken.add(found)
        return found


class _Writer(ABC):
    """Writes the files of one format.

    Attributes:
        written: counts of what was written and what was omitted.
    """

    #: Folder of the images; ``{split}`` is the name of the split.
    images: ClassVar[str]

    def __init__(self, folder: Path, box_labels: Sequence[str], mask_labels: Sequence[str]):
        self.folder = folder
        self.box_labels, self.mask_labels = list(box_labels), list(mask_labels)
        self.written: Counter[str] = Counter()

    def add(self, split: str, stem: str, data: bytes, fields: Mapping[str, Any]) -> None:
        """Write an image and its annotation."""
        file = f"{stem}{SUFFIX_OF[image_format(data) or 'PNG']}"
        path = self.folder / self.images.format(split=split) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.written["images"] += 1
        if "boxes" in fields and fields.get("boxes_known", 1):
            self.written["boxes"] += len(fields["boxes"])
            for label in fields["box_labels"]:
                if label not in self.box_labels:
                    self.box_labels.append(label)
        if fields.get("mask"):
            self.written["masks"] += 1
        self.annotate(split, path, fields)

    @abstractmethod
    def annotate(self, split: str, path: Path, fields: Mapping[str, Any]) -> None:
        """Write or store the annotations of the image at a path."""

    @abstractmethod
    def finish(self) -> None:
        """Write the files that cover all images."""

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class _Coco(_Writer):
    """``images/SPLIT/*``, ``annotations/SPLIT.json``: boxes, and one region per mask class.

    ``background`` is everything outside the regions, and so is void, which COCO cannot express.
    """

    images = "images/{split}"

    def __init__(self, folder: Path, box_labels: Sequence[str], mask_labels: Sequence[str]):
        super().__init__(folder, box_labels, mask_labels)
        self._images: dict[str, list[dict[str, Any]]] = {}
        self._notes: dict[str, list[dict[str, Any]]] = {}
        regions = [name for name in mask_labels if name != BACKGROUND]
        self._numbers = {
            name: number for number, name in enumerate(dict.fromkeys([*box_labels, *regions]), 1)
        }

    def annotate(self, split: str, path: Path, fields: Mapping[str, Any]) -> None:
        images, notes = self._images.setdefault(split, []), self._notes.setdefault(split, [])
        number = len(images) + 1
        images.append(
            {
                "id": number,
                "file_name": path.relative_to(self.folder / "images").as_posix(),
                "height": int(fields["height"]),
                "width": int(fields["width"]),
            }
        )
        for box, label, crowd in _boxes(fields):
            left, top, right, bottom = box
            notes.append(
                {
                    "id": len(notes) + 1,
                    "image_id": number,
                    "category_id": self._number(label),
                    "bbox": [left, top, round(right - left, 4), round(bottom - top, 4)],
                    "area": round((right - left) * (bottom - top), 4),
                    "segmentation": [],
                    "iscrowd": crowd,
                }
            )
        if fields.get("mask"):
            mask = numbered_by(fields["mask"], self.mask_labels)
            self.written["void_pixels_left_out"] += int((mask == VOID).sum())
            for value in np.unique(mask[mask != VOID]).tolist():
                label = self.mask_labels[value]
                if label != BACKGROUND:
                    notes.append(
                        _region(mask == value, len(notes) + 1, number, self._number(label))
                    )

    def finish(self) -> None:
        categories = [{"id": number, "name": name} for name, number in self._numbers.items()]
        for split, images in self._images.items():
            content = {
                "images": images,
                "annotations": self._notes[split],
                "categories": categories,
            }
            self.write(f"annotations/{split}.json", json.dumps(content, ensure_ascii=False))

    def _number(self, label: str) -> int:
        return self._numbers.setdefault(label, len(self._numbers) + 1)


class _Voc(_Writer):
    """``JPEGImages``, ``Annotations``, ``SegmentationClass``, and lists in ``ImageSets``."""

    images = "JPEGImages"

    def __init__(self, folder: Path, box_labels: Sequence[str], mask_labels: Sequence[str]):
        super().__init__(folder, box_labels, mask_labels)
        self._lists: dict[str, list[str]] = {}

    def annotate(self, split: str, path: Path, fields: Mapping[str, Any]) -> None:
        self._lists.setdefault(f"Main/{split}", []).append(path.stem)
        if "boxes" in fields and fields.get("boxes_known", 1):
            self.write(f"Annotations/{path.stem}.xml", _voc_xml(path, fields))
        if fields.get("mask"):
            mask = ClassMask(numbered_by(fields["mask"], self.mask_labels), tuple(self.mask_labels))
            target = self.folder / "SegmentationClass" / f"{path.stem}.png"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(encode_mask(mask))
            self._lists.setdefault(f"Segmentation/{split}", []).append(path.stem)

    def finish(self) -> None:
        for name, stems in self._lists.items():
            self.write(f"ImageSets/{name}.txt", "".join(f"{stem}\n" for stem in stems))
        if self.mask_labels:
            self.write(LIST_NAMES[0], "".join(f"{name}\n" for name in self.mask_labels))


class _Yolo(_Writer):
    """``images/SPLIT/*``, ``labels/SPLIT/*.txt`` and ``data.yaml``. Crowd boxes are omitted."""

    images = "images/{split}"

    def __init__(self, folder: Path, box_labels: Sequence[str], mask_labels: Sequence[str]):
        super().__init__(folder, box_labels, mask_labels)
        if not box_labels:
            raise UsageError("YOLO's files hold no masks", where="--format", hint="Use coco or voc")
        self._splits: dict[str, None] = {}

    def annotate(self, split: str, path: Path, fields: Mapping[str, Any]) -> None:
        self._splits[split] = None
        self.written["masks_left_out"] += bool(fields.get("mask"))
        if not fields.get("boxes_known", 1):
            return
        size = np.array([fields["width"], fields["height"]], float)
        lines = []
        for box, label, crowd in _boxes(fields):
            if crowd:
                self.written["crowds_left_out"] += 1
                continue
            corners = np.array(box).reshape(2, 2)
            shares = [*(corners.mean(axis=0) / size), *((corners[1] - corners[0]) / size)]
            numbers = " ".join(f"{share:.8g}" for share in shares)
            lines.append(f"{self.box_labels.index(label)} {numbers}\n")
        self.write(f"labels/{split}/{path.stem}.txt", "".join(lines))

    def finish(self) -> None:
        # JSON is a subset of YAML, and its quoting is valid in both.
        lines = [f"{split}: images/{split}" for split in self._splits]
        names = json.dumps(self.box_labels, ensure_ascii=False)
        self.write("data.yaml", "\n".join([*lines, f"names: {names}"]) + "\n")


WRITERS: Mapping[str, type[_Writer]] = {"coco": _Coco, "voc": _Voc, "yolo": _Yolo}


def _boxes(fields: Mapping[str, Any]) -> Iterable[tuple[list[float], str, int]]:
    """The corners of each box, rounded to single precision, with its class and crowd flag."""
    if "boxes" not in fields or not fields.get("boxes_known", 1):
        return []
    corners = [[round(value, 4) for value in box] for box in np.asarray(fields["boxes"]).tolist()]
    crowd = [int(value) for value in fields["crowd"]]
    return zip(corners, fields["box_labels"], crowd, strict=True)


def _region(inside: np.ndarray, number: int, image: int, category: int) -> dict[str, Any]:
    """COCO annotation of the pixels of one class, (h, w) bool."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [int(value) for value in box],
        "area": int(inside.sum()),
        "segmentation": encode_runs(inside),
        "iscrowd": 0,
    }


def _voc_xml(path: Path, fields: Mapping[str, Any]) -> str:
    """``voc.parse_voc`` explains how VOC numbers pixels."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "folder").text = path.parent.name
    ElementTree.SubElement(root, "filename").text = path.name
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", fields["width"]), ("height", fields["height"]), ("depth", 3)):
        ElementTree.SubElement(size, name).text = str(int(value))
    ElementTree.SubElement(root, "segmented").text = str(int(bool(fields.get("mask"))))
    for (left, top, right, bottom), label, crowd in _boxes(fields):
        thing = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(thing, "name").text = label
        ElementTree.SubElement(thing, "difficult").text = str(crowd)
        box = ElementTree.SubElement(thing, "bndbox")
        numbers = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
        for name, value in numbers.items():
            ElementTree.SubElement(box, name).text = f"{round(value, 4):.9g}"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _upright(data: bytes) -> bytes:
    """The bytes of an image, re-encoded only if EXIF rotates it."""
    import cv2

    if b"Exif" not in data and b"EXIF" not in data and b"eXIf" not in data:
        return data
    content = np.frombuffer(data, np.uint8)
    upright = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
    stored = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if upright is None or stored is None:
        raise ArtifactError("a stored image is damaged", hint="Prepare the data again")
    if np.array_equal(upright, stored):
        return data
    return encode_jpeg(upright) if image_format(data) == "JPEG" else encode_png(upright)
