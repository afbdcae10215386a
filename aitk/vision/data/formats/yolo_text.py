"""YOLO text files: one object per line, with coordinates relative to the image size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.core.io.values import quoted, to_number
from aitk.vision.data.class_lists import ClassList
from aitk.vision.data.formats.masks import number_classes
from aitk.vision.data.formats.shapes import BACKGROUND, fill_shapes
from aitk.vision.data.items import Boxes, ClassMask
from aitk.vision.data.quality.box_checks import make_boxes

MAX_BYTES = 10_000_000


def parse_yolo(content: bytes, classes: ClassList) -> list[tuple[str, np.ndarray]]:
    """The objects of one file: class and outline, (points, 2) relative coordinates.

    ``class x y width height`` is a box with centre x, y, optionally followed by a confidence;
    ``class x y x y x y ...`` is a polygon. The class may be written as a decimal (``0.0``). In
    lines with key points only the box is read. A polygon of one point has no area.

    Raises:
        DataError: a line has another form, or an unknown class.
    """
    objects, names = [], classes.names
    for line, text in enumerate(content.decode("utf-8-sig", errors="replace").splitlines(), 1):
        words = text.split()
        if not words:
            continue
        try:
            class_number, *numbers = (to_number(word) for word in words)
            values = np.array(numbers[:4] if classes.has_keypoints else numbers)
        except ValueError as error:
            raise DataError(f"line {line} is not a class and numbers: {quoted(text)}") from error
        if class_number not in range(len(names)):
            raise DataError(f"line {line} has class {words[0]}, but there are {len(names)} classes")
        if len(values) in (4, 5):
            x, y, width, height = values[:4]
            if len(values) == 5 and not 0 <= values[4] <= 1:
                raise DataError(f"line {line} has {values[4]:g} in the place of the confidence")
            if width < 0 or height < 0:
                raise DataError(f"line {line} has a negative width or height")
            points = np.array([[x - width / 2, y - height / 2], [x + width / 2, y + height / 2]])
        elif len(values) == 2 or (len(values) >= 6 and len(values) % 2 == 0):
            points = values.reshape(-1, 2)
        else:
            raise DataError(f"line {line} has {len(values)} numbers instead of 4 or a polygon")
        objects.append((names[int(class_number)], points))
    return objects


def box_maker(objects: list[tuple[str, np.ndarray]]) -> Callable[[int, int], Boxes]:
    """Return a function that computes the boxes of objects."""

    def make(height: int, width: int) -> Boxes:
        scale = np.array([width, height])
        corners = [
            [*(points.min(axis=0) * scale).tolist(), *(points.max(axis=0) * scale).tolist()]
            for _, points in objects
        ]
        return make_boxes(corners, [name for name, _ in objects])

    return make


def mask_maker(
    objects: list[tuple[str, np.ndarray]], classes: ClassList
) -> Callable[[int, int], ClassMask]:
    """Return a function that draws the mask of polygon objects; class 0 is the background."""
    numbered = ClassList((BACKGROUND, *classes.names), ignored=classes.ignored)

    def make(height: int, width: int) -> ClassMask:
        shapes = [
            (numbered.names.index(name), [(points * [width, height]).ravel().tolist()])
            for name, points in objects
        ]
        return number_classes(fill_shapes(shapes, height=height, width=width), numbered)

    return make
