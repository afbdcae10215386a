"""labelme: a JSON file of shapes a picture."""

from __future__ import annotations

import math
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.vision.data.formats.coco_content import CocoContent, points


def is_labelme(found: Any) -> bool:
    """Whether a JSON value is of a labelme file."""
    return isinstance(found, dict) and isinstance(found.get("shapes"), list) and (
        "imagePath" in found or "imageData" in found
    )  # fmt: skip


def add_labelme(found: dict[str, Any], name: str, content: CocoContent) -> None:
    """Add what one file tells.

    Args:
        name: of the picture.
    """
    with content.image(name, (found.get("imageHeight"), found.get("imageWidth"))):
        for shape in found["shapes"]:
            _add(shape, content)


def _add(shape: Any, content: CocoContent) -> None:
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
