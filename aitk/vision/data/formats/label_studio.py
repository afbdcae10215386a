"""Label Studio's JSON, also ``JSON-MIN``: boxes, polygons and ellipses in percent of the sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.io.values import to_number
from aitk.vision.data.formats.coco_content import CocoContent, points, rectangle, turned
from aitk.vision.data.sidecar_files import is_image

_KINDS = ("rectanglelabels", "polygonlabels", "ellipselabels")
#: Shapes from brushes and key points, which are not outlines.
_OTHER_KINDS = ("brushlabels", "keypointlabels", "labels")
_LOCAL_FILES = "?d="


def is_label_studio(found: Any) -> bool:
    """Whether a JSON value is a Label Studio export of images."""
    if not isinstance(found, list) or not all(isinstance(task, dict) for task in found):
        return False
    return any(any(kind in each for kind in _KINDS) for task in found for each in _results(task))


def parse_label_studio(found: list[dict[str, Any]]) -> CocoContent:
    """Parse an export."""
    content = CocoContent()
    for task in found:
        results = list(_results(task))
        size = next(
            ((each.get("original_height"), each.get("original_width")) for each in results),
            (None, None),
        )
        with content.image(_image(task), size):
            for each in results:
                _add(each, content)
    return content


def _results(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The shapes of a task with their labels; the last annotation wins."""
    annotations = _objects(task.get("annotations") or task.get("completions"))
    done = [each for each in annotations if not each.get("was_cancelled")]
    if done:
        for each in _objects(done[-1].get("result")):
            if isinstance(each.get("value"), dict):
                yield {**each, **each["value"]}
        return
    for value in task.values():  # JSON-MIN: keyed by the label names of the project
        for each in _objects(value):
            if any(kind in each for kind in (*_KINDS, *_OTHER_KINDS)):
                yield each


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The mappings in a list; empty if the value is not a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _image(task: Mapping[str, Any]) -> str | None:
    """The path of a task's image, without the server's prefix."""
    data = task["data"] if isinstance(task.get("data"), dict) else task
    texts = [value for value in data.values() if isinstance(value, str)]
    paths = [
        value.partition(_LOCAL_FILES)[2] if _LOCAL_FILES in value else value.partition("?")[0]
        for value in texts
    ]
    return next(filter(is_image, paths), None)


def _add(shape: Mapping[str, Any], content: CocoContent) -> None:
    kind = next((kind for kind in _KINDS if kind in shape), None)
    if kind is None:
        if any(kind in shape for kind in _OTHER_KINDS):
            content.leave_out()
        return
    labels = shape[kind]
    label = labels[0] if isinstance(labels, list) and labels else None
    names = ("original_width", "original_height")
    if kind == "polygonlabels":
        width, height = _numbers(shape, *names)
        corners = points(shape.get("points") or ())
        scaled = [(x * width / 100, y * height / 100) for x, y in corners]
        content.add_polygon(label, scaled)
        return
    sides = ("radiusX", "radiusY") if kind == "ellipselabels" else ("width", "height")
    width, height, x, y, across, down = _numbers(shape, *names, "x", "y", *sides)
    place, size = (x * width / 100, y * height / 100), (across * width / 100, down * height / 100)
    (degrees,) = _numbers({"rotation": shape.get("rotation") or 0}, "rotation")
    if kind == "ellipselabels":
        content.add_ellipse(label, place, size, degrees=degrees)
    elif degrees:
        content.add_polygon(label, turned(rectangle(place, size), degrees, about=place))
    else:
        content.add_box(label, place, (place[0] + size[0], place[1] + size[1]))


def _numbers(shape: Mapping[str, Any], *names: str) -> list[float]:
    try:
        return [to_number(shape.get(name)) for name in names]
    except (TypeError, ValueError) as error:
        raise DataError(f"has a shape without {', '.join(names)}") from error
