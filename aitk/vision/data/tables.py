"""Tables of images: CSV, TSV, JSON lines or Parquet, with annotations in columns.

Boxes are a list in one cell, ``{"label": "dog", "box": [x_min, y_min, x_max, y_max]}``; or a list
of four numbers with a parallel list in the column ``box_labels``; or one box per row, in which
case the rows of an image are grouped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import LabelReader, MultiLabelReading, NameReader, read_name
from aitk.core.contract.rows import SPLITS, Refusal
from aitk.core.contract.score_task import SCORE_COLUMNS, ScoreReader
from aitk.core.io.lines import open_lines
from aitk.core.io.names import SPLIT_OF_WORD, path_in, split_named
from aitk.core.io.tables import (
    SUFFIXES,
    Table,
    file_suffix,
    find_column,
    list_names,
    open_table,
    usual_column,
)
from aitk.core.io.values import parse_json
from aitk.vision.data.class_lists import ClassList
from aitk.vision.data.formats.masks import mask_reader
from aitk.vision.data.items import Boxes, Item
from aitk.vision.data.options import ImageReading
from aitk.vision.data.quality.box_checks import make_boxes
from aitk.vision.data.reading_counts import UNKNOWN_SPLITS, ReadingCounts
from aitk.vision.data.trees import Tree

PATH_COLUMNS = (
    "picture", "image", "path", "file", "filename", "file_name", "filepath", "file_path",
    "image_path", "image_file", "image_name", "img", "img_path", "photo", "图片", "文件",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "class", "category", "target", "class_name", "cell_type", "name", "标签", "类别",
)  # fmt: skip
BOXES_COLUMNS = ("boxes", "objects", "annotations", "bboxes")
BOX_LABELS_COLUMNS = ("box_labels", "box_classes", "labels", "classes")
CROWD_COLUMNS = ("crowd", "iscrowd")
MASK_COLUMNS = ("mask", "mask_path", "mask_file", "segmentation", "annotation")
SPLIT_COLUMNS = ("split", "set", "subset", "partition")
CORNER_COLUMNS = (
    ("x_min", "xmin", "left", "x1"),
    ("y_min", "ymin", "top", "y1"),
    ("x_max", "xmax", "right", "x2"),
    ("y_max", "ymax", "bottom", "y2"),
)
MAX_BYTES = 1_000_000_000
_NAMES = frozenset((*PATH_COLUMNS, *LABEL_COLUMNS, *MASK_COLUMNS, *SCORE_COLUMNS))
_HEADER = {"auto": None, "yes": True, "no": False}


def is_table(name: str) -> bool:
    """Whether a file's suffix is that of a table (JSON is decided by content)."""
    suffix = file_suffix(name)
    return suffix in SUFFIXES and suffix != ".json"


def open_images(source: str, reading: ImageReading, *, content: bytes | None = None) -> Table:
    """Open a table.

    Args:
        content: the bytes of a table in an archive; ``source`` names it.

    Raises:
        DataError: it is missing, empty or not a table.
        UsageError: the encoding or delimiter cannot be used.
    """
    given = reading.delimiter
    lines = None
    if content is not None:
        lines = open_lines(source, encoding=reading.encoding, content=content)
    return open_table(
        source if lines is None else lines,
        header=_HEADER[reading.header],
        delimiter="\t" if given and given.lower() in ("tab", r"\t") else given,
        encoding=reading.encoding,
        names=_NAMES,
    )


def names_images(table: Table, reading: ImageReading, *, annotation_kinds: Collection[str]) -> bool:
    """Whether a table found next to images names them and their required annotations."""
    columns = table.columns
    if reading.path_column not in columns and not usual_column(columns, PATH_COLUMNS):
        return False
    known = {
        "label": getattr(reading, "label_column", None) in columns
        or usual_column(columns, LABEL_COLUMNS) is not None
        or bool(set(getattr(reading, "label_columns", None) or ()) & set(columns))
        or (getattr(reading, "has_many_labels", False) and "labels" in columns),
        "score": getattr(reading, "label_column", None) in columns
        or usual_column(columns, SCORE_COLUMNS) is not None,
        "boxes": usual_column(columns, BOXES_COLUMNS) is not None or _corners(columns) is not None,
        "mask": usual_column(columns, MASK_COLUMNS) is not None,
    }
    return not annotation_kinds or any(known[want] for want in annotation_kinds)


def read_table(
    table: Table,
    tree: Tree,
    folder: str,
    reading: ImageReading,
    *,
    annotation_kinds: Collection[str],
    labelled: bool,
    split: str | None,
    classes: ClassList,
    named: set[str] | None = None,
    counts: ReadingCounts | None = None,
) -> Iterator[Item | Refusal]:
    """The images named by a table.

    Args:
        tree: the tree of the images.
        folder: the table's folder in the tree; paths are relative to it.
        annotation_kinds: ``label``, ``score``, ``boxes`` and ``mask``.
        labelled: a required kind must have a column; with several kinds, one is enough.
        split: split of rows without a split column.
        classes: class list for mask files.
        named: receives the names of the files in the table.
        counts: collects what is omitted.

    Raises:
        DataError: its columns are ambiguous.
        UsageError: an option names a column that is not there.
    """
    counts = ReadingCounts() if counts is None else counts
    columns = _Columns(
        table, reading, annotation_kinds=annotation_kinds if labelled else (), counts=counts
    )
    named = set() if named is None else named
    for row in _gathered(table, columns) if columns.corners else table:
        if isinstance(row, Refusal):
            yield row
            continue
        line, record, *own = row
        try:
            item = columns.item(
                record, line, tree, folder, split=split, outside=reading.outside, classes=classes,
                binary=getattr(reading, "binary_masks", False), named=named,
            )  # fmt: skip
        except DataError as error:
            yield Refusal(table.source, line, error.what)
            continue
        if own:
            item = dataclasses.replace(item, boxes=own[0])
        yield item


class _Columns:
    """The columns by role."""

    def __init__(
        self,
        table: Table,
        reading: ImageReading,
        *,
        annotation_kinds: Collection[str],
        counts: ReadingCounts,
    ):
        self._counts, self._keep_na = counts, getattr(reading, "keep_na", False)
        self._labels: LabelReader | None = None
        if isinstance(reading, MultiLabelReading) and reading.has_many_labels:
            self._labels = LabelReader(reading, NameReader(keep_na=self._keep_na))
        names, self.where = table.columns, table.source
        self.path = find_column(
            names, reading.path_column, PATH_COLUMNS, what="path", where=self.where
        )
        self.corners = _corners(names) if "boxes" in annotation_kinds else None
        self.label = self.boxes = self.box_labels = self.crowd = self.mask = None
        due, listed = len(annotation_kinds) == 1, list_names(names)
        given = getattr(reading, "label_column", None)
        own = getattr(reading, "label_columns", None) if "label" in annotation_kinds else None
        self.labels = [
            find_column(names, name, (), what="label", where=self.where) for name in own or ()
        ]
        if self.labels:
            pass  # each of these columns is a label
        elif "label" in annotation_kinds or self.corners:
            others = [name for name in names if name != self.path]
            if due or given:
                usual = (*LABEL_COLUMNS, "labels") if self._labels else LABEL_COLUMNS
                self.label = find_column(others, given, usual, what="label", where=self.where)
                self.labels = [self.label]
            else:
                self.label = usual_column(others, LABEL_COLUMNS)
        self.score: str | None = None
        if "score" in annotation_kinds:
            others = [name for name in names if name != self.path]
            self.score = find_column(others, given, SCORE_COLUMNS, what="label", where=self.where)
        if "boxes" in annotation_kinds:
            self.boxes = usual_column(names, BOXES_COLUMNS)
            self.box_labels = usual_column(names, BOX_LABELS_COLUMNS)
            self.crowd = usual_column(names, CROWD_COLUMNS)
            if due and not self.boxes and not self.corners:
                hint = f"Expected boxes, or xmin, ymin, xmax, ymax. Columns: {listed}"
                raise DataError("no column has boxes", where=self.where, hint=hint)
        if "mask" in annotation_kinds:
            self.mask = usual_column(names, MASK_COLUMNS)
            if due and not self.mask:
                hint = f"Expected mask. Columns: {listed}"
                raise DataError("no column names masks", where=self.where, hint=hint)
        self.split = usual_column(names, SPLIT_COLUMNS)

    def item(
        self,
        record: Mapping[str, Any],
        line: int,
        tree: Tree,
        folder: str,
        *,
        split: str | None,
        outside: bool,
        classes: ClassList,
        binary: bool,
        named: set[str],
    ) -> Item:
        """The item of one row.

        Raises:
            DataError: the image or mask is missing, or a cell is malformed.
        """
        given = path_in(record.get(self.path))
        if not given:
            raise DataError("it names no image")
        name = tree.find(given, folder, outside=outside)
        mask = path_in(record.get(self.mask)) if self.mask else ""
        mask_name = tree.find(mask, folder, outside=outside) if mask else None
        named.update(filter(None, (name, mask_name)))
        return Item(
            image=lambda: tree.read(name),
            name=given,
            file=self.where,
            line=line,
            split=self._split_of(record, line) or split,
            label=None if self.corners or self._labels else self.label_of(record),
            labels=self._labels_of(record),
            score=self._score_of(record),
            boxes=self._boxes(record),
            mask=mask_reader(tree, mask_name, classes, binary=binary) if mask_name else None,
            record=record,
        )

    def label_of(self, record: Mapping[str, Any]) -> str | None:
        """The label of a row, None for an empty cell.

        Raises:
            DataError: it is not a label, or is a word for a missing value.
        """
        value = record.get(self.label) if self.label else None
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        name, problem = read_name(value, str(self.label), keep_na=self._keep_na)
        if problem:
            raise DataError(problem)
        return name

    def _labels_of(self, record: Mapping[str, Any]) -> Sequence[str] | None:
        if self._labels is None or not self.labels:
            return None
        fields, problem = self._labels.read(record, self.labels)
        if problem:
            raise DataError(problem)
        return fields["labels"]

    def _score_of(self, record: Mapping[str, Any]) -> float | None:
        if self.score is None:
            return None
        fields, problem = ScoreReader().read_value(record.get(self.score))
        if problem:
            raise DataError(problem)
        return fields["score"]

    def _split_of(self, record: Mapping[str, Any], line: int) -> str | None:
        """The split named in a row; unknown words are counted."""
        given = _text(record, self.split).lower()
        split = given if given in SPLITS else SPLIT_OF_WORD.get(given) or split_named(given)
        if given and split is None:
            self._counts.add(UNKNOWN_SPLITS, f"{self.where}:{line}: {given[:40]}")
        return split

    def _boxes(self, record: Mapping[str, Any]) -> Callable[[int, int], Boxes] | None:
        found = _list(record, self.boxes)
        if found is None:
            return None
        if self.box_labels and (labels := _list(record, self.box_labels)) is not None:
            boxes = make_boxes(found, labels, _list(record, self.crowd))
        else:
            if not all(isinstance(item, dict) and "box" in item for item in found):
                raise DataError('its boxes are not a list of {"label": ..., "box": [...]}')
            boxes = make_boxes(
                [item["box"] for item in found],
                [item.get("label") for item in found],
                [item.get("crowd", 0) for item in found],
            )
        return lambda height, width: boxes


def _gathered(
    table: Table, columns: _Columns
) -> Iterator[tuple[int, Mapping[str, Any], Callable[[int, int], Boxes]] | Refusal]:
    """Group a table with one box per row by image; rows without numbers add no box."""
    first: dict[str, tuple[int, Mapping[str, Any]]] = {}
    boxes: dict[str, list[tuple[list[str], str | None]]] = {}
    problems: dict[str, str] = {}
    for item in table:
        if isinstance(item, Refusal):
            yield item
            continue
        line, record = item
        name = _text(record, columns.path)
        first.setdefault(name, (line, record))
        corners = [_text(record, column) for column in columns.corners or ()]
        found = boxes.setdefault(name, [])
        if any(corners):
            try:
                found.append((corners, columns.label_of(record)))
            except DataError as error:
                problems.setdefault(name, error.what)
    for name, (line, head) in first.items():
        try:
            if name in problems:
                raise DataError(problems[name])
            made = make_boxes(
                [corners for corners, _ in boxes[name]], [label for _, label in boxes[name]]
            )
        except DataError as error:
            yield Refusal(table.source, line, error.what)
            continue
        yield line, head, lambda height, width, made=made: made  # type: ignore[misc]


def _corners(columns: Sequence[str]) -> tuple[str, ...] | None:
    """The columns of a box's four numbers, for tables with one box per row."""
    found = [usual_column(columns, usual) for usual in CORNER_COLUMNS]
    return tuple(column for column in found if column) if all(found) else None


def _list(record: Mapping[str, Any], column: str | None) -> list[Any] | None:
    """The list in a cell, possibly as JSON; None if the cell is empty."""
    value = record.get(column) if column else None
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = parse_json(value)
        except ValueError as error:
            raise DataError(f"its {column} is not a JSON list") from error
    if value is not None and not isinstance(value, list):
        raise DataError(f"its {column} is a {type(value).__name__}, not a list")
    return value


def _text(record: Mapping[str, Any], column: str | None) -> str:
    value = record.get(column) if column else None
    return "" if value is None else str(value).strip()
