"""Converts annotations of other tools to COCO form, so that one reader serves all formats."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.labels import normalise
from aitk.core.io.values import to_number

_ELLIPSE_POINTS = 32

Point = tuple[float, float]


class CocoContent:
    """Collects images and their shapes.

    Attributes:
        left_out: number of shapes without an area (points, lines): neither boxes nor outlines.
    """

    def __init__(self) -> None:
        self.left_out = 0
        self._images: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}

    @contextlib.contextmanager
    def image(
        self, name: object, size: tuple[object, object] = (None, None), split: object = None
    ) -> Iterator[None]:
        """Add an image; shapes added inside the ``with`` block belong to it.

        An error in the block is stored and refuses this image alone.

        Args:
            size: (height, width), if the file has it.
            split: the split named in the file.
        """
        height, width = size
        image = {"id": len(self._images) + 1, "file_name": name, "height": height, "width": width}
        self._images.append(image | ({"split": split} if isinstance(split, str) else {}))
        try:
            yield
        except DataError as error:
            self._images[-1]["problem"] = error.what

    def add_box(
        self, label: object, first: Sequence[Any], second: Sequence[Any], *, fills: bool = True
    ) -> None:
        """Add a box given by two opposite corners.

        Args:
            fills: the object fills its box, so the box can serve as its outline.

        Raises:
            DataError: the corners are not points.
        """
        corners = points([first, second])
        (left, right), (top, bottom) = (sorted(each) for each in zip(*corners, strict=True))
        box = [left, top, right - left, bottom - top]
        outline = [left, top, right, top, right, bottom, left, bottom]
        self._add(label, {"bbox": box} | ({"box_outline": [outline]} if fills else {}))

    def add_polygon(self, label: object, corners: Sequence[Sequence[Any]]) -> None:
        """Add an outline.

        Raises:
            DataError: the corners are not points.
        """
        flat = [value for point in points(corners) for value in point]
        self._add(label, {"segmentation": [flat]})

    def add_ellipse(
        self, label: object, centre: Point, radii: Point, *, degrees: float = 0.0
    ) -> None:
        """Add a clockwise-rotated ellipse as a polygon."""
        angles = [2 * math.pi * at / _ELLIPSE_POINTS for at in range(_ELLIPSE_POINTS)]
        upright = [
            (centre[0] + radii[0] * math.cos(angle), centre[1] + radii[1] * math.sin(angle))
            for angle in angles
        ]
        self.add_polygon(label, turned(upright, degrees, about=centre))

    def leave_out(self) -> None:
        """Count a shape without an area."""
        self.left_out += 1

    def content(self) -> dict[str, Any]:
        """The equivalent COCO content. Boxes become outlines if any shape is a polygon."""
        has_polygons = any("segmentation" in note for note in self._notes)
        for note in self._notes:
            outline = note.pop("box_outline", None)
            if outline and has_polygons:
                note["segmentation"] = outline
        ordered = sorted(self._numbers)
        numbers = {self._numbers[name]: place for place, name in enumerate(ordered, 1)}
        notes = [note | {"category_id": numbers[note["category_id"]]} for note in self._notes]
        categories = [{"id": place, "name": name} for place, name in enumerate(ordered, 1)]
        return {"images": self._images, "annotations": notes, "categories": categories}

    def _add(self, label: object, shape: dict[str, Any]) -> None:
        name = normalise(str(label)) if isinstance(label, str | int | float) else ""
        if not name:
            raise DataError("has a shape without a label")
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        note = {"image_id": len(self._images), "category_id": number, "iscrowd": 0}
        self._notes.append(note | shape)


def points(values: Sequence[Any]) -> list[Point]:
    """Convert values to pairs of numbers.

    Raises:
        DataError: a value is not a pair of numbers.
    """
    try:
        return [(to_number(x), to_number(y)) for x, y in values]
    except (TypeError, ValueError) as error:
        raise DataError("has a shape whose points are not pairs of numbers") from error


def rectangle(corner: Point, size: Point) -> list[Point]:
    """The corners of a rectangle, clockwise from the upper left."""
    (left, top), (width, height) = corner, size
    right, bottom = left + width, top + height
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def turned(corners: Sequence[Point], degrees: float, *, about: Point) -> list[Point]:
    """Rotate points clockwise about another point."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    found = []
    for x, y in corners:
        right, below = x - about[0], y - about[1]
        found.append(
            (about[0] + right * cosine - below * sine, about[1] + right * sine + below * cosine)
        )
    return found
