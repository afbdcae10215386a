"""CVAT's XML for images (``CVAT for images 1.1``): boxes, polygons and ellipses."""

from __future__ import annotations

from xml.etree import ElementTree

from aitk.core.contract.errors import DataError
from aitk.core.io.values import to_number
from aitk.vision.data.formats.coco_content import CocoContent, Point, points, rectangle, turned
from aitk.vision.data.formats.voc import parse_xml

MAX_BYTES = 500_000_000


def parse_cvat(content: bytes) -> CocoContent | None:
    """The content of a file; None if it is another kind of XML.

    Raises:
        DataError: the file is not valid XML, or annotates a video.
    """
    if b"<annotations" not in content[:10_000]:
        return None
    root = parse_xml(content)
    if root.tag != "annotations":
        return None
    if root.find("track") is not None:
        hint = "Export the task as CVAT for images 1.1, or as COCO 1.0"
        raise DataError("annotates a video (CVAT for video), not images", hint=hint)
    found = CocoContent()
    for image in root.iter("image"):
        size = image.get("height"), image.get("width")
        with found.image(image.get("name"), size, image.get("subset")):
            for shape in image:
                _add(shape, found)
    return found


def _add(shape: ElementTree.Element, found: CocoContent) -> None:
    label = shape.get("label")
    degrees = _number(shape, "rotation") if shape.get("rotation") else 0.0
    if shape.tag == "box":
        left, top = _point(shape, "xtl", "ytl")
        right, bottom = _point(shape, "xbr", "ybr")
        if degrees:
            middle = (left + right) / 2, (top + bottom) / 2
            corners = rectangle((left, top), (right - left, bottom - top))
            found.add_polygon(label, turned(corners, degrees, about=middle))
        else:
            found.add_box(label, (left, top), (right, bottom))
    elif shape.tag == "polygon":
        pairs = [pair.split(",") for pair in (shape.get("points") or "").split(";")]
        found.add_polygon(label, points(pairs))
    elif shape.tag == "ellipse":
        centre, radii = _point(shape, "cx", "cy"), _point(shape, "rx", "ry")
        found.add_ellipse(label, centre, radii, degrees=degrees)
    elif shape.tag == "mask":
        left, top = _point(shape, "left", "top")
        width, height = _point(shape, "width", "height")
        found.add_box(label, (left, top), (left + width, top + height), fills=False)
    elif label is not None:  # points, polylines, cuboids, skeletons
        found.leave_out()


def _point(shape: ElementTree.Element, across: str, down: str) -> Point:
    return _number(shape, across), _number(shape, down)


def _number(shape: ElementTree.Element, name: str) -> float:
    try:
        return to_number(shape.get(name) or "")
    except ValueError as error:
        raise DataError(f"has a {shape.tag} whose {name} is not a number") from error
