"""Draws boxes, masks and labels onto images, and sheets of several images."""

from __future__ import annotations

import bisect
import functools
import itertools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aitk.vision.data.formats.run_lengths import decode_runs
from aitk.vision.features.colours import LUMA
from aitk.vision.features.geometry import VOID, fit_image, fit_mask
from aitk.vision.features.sample import Sample
from aitk.vision.metrics.detection_errors import BoxErrors

#: Class names; or those of ``label``, ``boxes`` and ``mask`` if each has its own.
Names = Sequence[str] | Mapping[str, Sequence[str]]

#: A colour-blind safe palette: the first seven are those of Okabe and Ito (2008), the others
#: the most distinct ones of Tol (2021), "muted" and "light".
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (136, 34, 85), (51, 34, 136), (187, 204, 51), (153, 221, 255), (17, 119, 51),
    (255, 170, 187), (221, 204, 119), (170, 68, 153), (68, 170, 153), (238, 136, 102),
    (119, 170, 221), (170, 170, 0), (136, 204, 238),
)  # fmt: skip
#: Images with a shorter longer side are enlarged, since names would cover them.
MIN_SIDE = 480
_VEIL = 0.45  # opacity of a mask
_TEXT_PIXELS = (13, 30)  # minimum and maximum text size
_NAMED_SHARE = 0.004  # smaller regions are coloured but not named
_MARGIN = 6
_CELL = 400  # below this size, lines have no dark edges, which would hide too much
_MAX_CHARACTERS = 1000  # limit on text length: zero-width letters take no space
_PAPER, _INK = (255, 255, 255), (35, 35, 35)


def class_colour(number: int) -> tuple[int, int, int]:
    """The RGB colour of a class."""
    return COLOURS[number % len(COLOURS)]


def draw_prediction(
    image: np.ndarray,
    prediction: Mapping[str, Any],
    *,
    labels: Sequence[str] = (),
    errors: BoxErrors | None = None,
) -> np.ndarray:
    """Draw the prediction of a model onto an image.

    Args:
        image: (h, w, 3) uint8, the original.
        prediction: any of ``prediction``, a label with its ``probability`` or a list of labels;
            ``boxes``, each {"box": [x_min, y_min, x_max, y_max], "label": str, "score": float};
            ``mask``, for each class {"label": str, "size": [h, w], "counts": str} (COCO's run
            lengths). Coordinates are pixels of the original.
        labels: classes by number, which selects their colours.
        errors: errors of its boxes, if the truth is known: false positives are crossed out, missed
            objects have a dashed outline, and each label names its error.

    Returns:
        (height, width, 3) uint8; small images are enlarged.
    """
    height, width = image.shape[:2]
    boxes, parts = prediction.get("boxes", ()), prediction.get("mask", ())
    mask, names = None, [part["label"] for part in parts]
    if parts:
        mask = np.full((height, width), VOID, np.uint8)
        for number, part in enumerate(parts):
            mask[decode_runs(part, height=height, width=width)] = number
    size = _enlarged((height, width))
    drawn = _Drawn(image, size)
    if mask is not None:
        drawn.add_mask(mask, names, [_colour_of(name, labels) for name in names])
    errors = errors or BoxErrors(false=(False,) * len(boxes), missed=())
    objects = [*boxes, *errors.missed]
    texts = [_scored(item["label"], item.get("score")) for item in objects]
    kinds = ["false: " if wrong else "" for wrong in errors.false]
    kinds += ["missed: "] * len(errors.missed)
    drawn.add_boxes(
        np.array([item["box"] for item in objects], np.float32).reshape(-1, 4),
        [kind + text for kind, text in zip(kinds, texts, strict=True)],
        [_colour_of(item["label"], labels) for item in objects],
        crossed=[kind == "false: " for kind in kinds],
        broken=[kind == "missed: " for kind in kinds],
    )
    several = prediction.get("prediction")
    if isinstance(several, list) and several and isinstance(several[0], str):
        drawn.add_title(", ".join(several), _colour_of(several[0], labels))
    if isinstance(prediction.get("prediction"), str):
        drawn.add_title(
            _scored(prediction["prediction"], prediction.get("probability")),
            _colour_of(prediction["prediction"], labels),
        )
    return drawn.image


def draw_sample(
    sample: Sample, size: tuple[int, int] | None = None, *, names: Names = ()
) -> np.ndarray:
    """Draw a sample with its boxes and mask, (h, w, 3) uint8.

    Args:
        size: output height and width; by default its own, enlarged if small.
        names: class names; without them only numbers are shown.
    """
    size = size or _enlarged(sample.image.shape[:2])
    drawn = _Drawn(sample.image, size)
    if sample.mask is not None:
        numbers = [number for number in np.unique(sample.mask).tolist() if number != VOID]
        mask = np.full(256, VOID, np.uint8)
        mask[numbers] = np.arange(len(numbers))
        drawn.add_mask(
            mask[sample.mask],
            [_name(number, names, "mask") for number in numbers],
            [class_colour(number) for number in numbers],
        )
    classes = sample.classes.tolist()
    drawn.add_boxes(
        sample.boxes,
        [_name(number, names, "boxes") for number in classes],
        [class_colour(number) for number in classes],
        crowd=sample.crowd.tolist(),
    )
    return drawn.image


def label_text(sample: Sample, *, names: Names = ()) -> str:
    """The label of a sample as text; mixed classes with their shares."""
    if sample.label is None:
        return ""
    shares = sample.shares or {sample.label: 1.0}
    if len(shares) == 1:
        return _name(sample.label, names, "label")
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return " + ".join(f"{share:.0%} {_name(number, names, 'label')}" for number, share in ordered)


def contact_sheet(
    samples: Sequence[Sample],
    *,
    names: Names = (),
    captions: Sequence[str] | None = None,
    columns: int = 4,
    cell: int = 240,
) -> np.ndarray:
    """A sheet of many samples, each with its boxes and mask, and its caption below.

    Args:
        samples: samples of any size.
        names: class names.
        captions: one per sample; by default its label.
        cell: side in pixels of the square for each sample.

    Returns:
        (h, w, 3) uint8.
    """
    import cv2

    if captions is None:
        captions = [label_text(sample, names=names) for sample in samples]
    columns = max(1, min(columns, len(samples)))
    text = min(max(cell // 14, 11), 18)
    parts = [
        draw_sample(sample, _within(sample.image.shape, cell), names=names) for sample in samples
    ]
    rows = []
    for start in range(0, len(parts), columns):
        inside = parts[start : start + columns]
        shown_captions = captions[start : start + columns]
        height = max(part.shape[0] for part in inside)
        strip = text + 10 if any(shown_captions) else 0
        row = np.full(
            (height + strip + _MARGIN, columns * (cell + _MARGIN) - _MARGIN, 3), _PAPER, np.uint8
        )
        for place, (part, caption) in enumerate(zip(inside, shown_captions, strict=True)):
            left = place * (cell + _MARGIN)
            top, indent = (height - part.shape[0]) // 2, (cell - part.shape[1]) // 2
            row[top : top + part.shape[0], left + indent : left + indent + part.shape[1]] = part
            _write(row, _cut(caption, cell, text), (left, height + text + 2), _INK, text)
        rows.append(row)
    return cv2.copyMakeBorder(
        np.concatenate(rows), _MARGIN, 0, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=_PAPER
    )


class _Drawn:
    """A resized image with drawing methods that take pixels of the original."""

    def __init__(self, image: np.ndarray, size: tuple[int, int]):
        fitted, self._fit = fit_image(image, size, how="stretch")
        self.image = fitted.copy()
        self._size = size
        self._text = min(max(max(size) // 34, _TEXT_PIXELS[0]), _TEXT_PIXELS[1])
        self._line = max(2, round(max(size) / 300))

    def add_mask(
        self, mask: np.ndarray, names: Sequence[str], colours: Sequence[tuple[int, int, int]]
    ) -> None:
        """Overlay the regions of a mask (h, w) in the colours of their classes."""
        mask = fit_mask(mask, self._fit, self._size)
        table = np.zeros((256, 3), np.uint8)
        if colours:
            table[: len(colours)] = colours
        known = mask != VOID
        veiled = (1 - _VEIL) * self.image[known] + _VEIL * table[mask[known]]
        self.image[known] = veiled.astype(np.uint8)
        edges = _edges(mask, self._line)
        self.image[edges & known] = table[mask[edges & known]]
        for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
            place = _middle(mask == number)
            if place is not None:
                width, height = _extent(name, self._text)
                self._tag(name, (place[0] - width // 2, place[1] - height // 2), colour)

    def add_boxes(
        self,
        boxes: np.ndarray,
        texts: Sequence[str],
        colours: Sequence[tuple[int, int, int]],
        *,
        crowd: Sequence[int] | None = None,
        crossed: Sequence[bool] | None = None,
        broken: Sequence[bool] | None = None,
    ) -> None:
        """Draw the outlines of boxes (n, 4), then their tags on top.

        Args:
            crowd: boxes that scoring ignores, drawn with thin outlines.
            crossed: boxes drawn with thin diagonals.
            broken: boxes drawn with dashed outlines.
        """
        import cv2

        corners = np.rint(self._fit.boxes_in(boxes)).astype(int).tolist()
        ignored = [bool(value) for value in crowd] if crowd is not None else [False] * len(corners)
        crowded = len(corners) * self._text > max(self._size) / 2
        text_size = _TEXT_PIXELS[0] - 2 if crowded else self._text
        # Draw small boxes last, so that large ones do not hide them.
        order = sorted(range(len(corners)), key=lambda at: -_area(corners[at]))
        for at in order:
            left, top, right, bottom = corners[at]
            line = 1 if ignored[at] else self._line - crowded
            ends = (left, top), (max(left, right - 1), max(top, bottom - 1))
            dashes = _dashes(*ends, length=5 * line) if broken and broken[at] else None
            edged = not crowded and max(self._size) > _CELL
            for colour, width in ((_INK, line + 2), (colours[at], line))[not edged :]:
                if dashes is None:
                    cv2.rectangle(self.image, *ends, colour, width)
                else:
                    cv2.polylines(self.image, dashes, False, colour, width)
            if crossed and crossed[at]:
                (left, top), (right, bottom) = ends
                cv2.line(self.image, (left, top), (right, bottom), colours[at], 1)
                cv2.line(self.image, (left, bottom), (right, top), colours[at], 1)
        for at in order:
            left, top = corners[at][:2]
            text = f"({texts[at]})" if ignored[at] else texts[at]
            place = left, top - _extent(text, text_size)[1]
            self._tag(text, place, colours[at], size=text_size)

    def add_title(self, text: str, colour: tuple[int, int, int]) -> None:
        """Write the label of the whole image in its corner."""
        self._tag(text, (0, 0), colour)

    def _tag(
        self,
        text: str,
        place: tuple[int, int],
        colour: tuple[int, int, int],
        *,
        size: int | None = None,
    ) -> None:
        """A text on its background colour, moved inside the image."""
        size = size or self._text
        rows, columns = self.image.shape[:2]
        text = _cut(text, columns - 4, size)
        width, height = _extent(text, size)
        left = min(max(place[0], 0), max(columns - width, 0))
        top = min(max(place[1], 0), max(rows - height, 0))
        self.image[top : top + height, left : left + width] = colour
        ink = _INK if np.dot(colour, LUMA) > 130 else _PAPER
        _write(self.image, text, (left + 3, top + height - max(4, size // 4)), ink, size)


def _dashes(start: tuple[int, int], end: tuple[int, int], *, length: int) -> list[np.ndarray]:
    """The outline of a box in dashes, (2, 2) each, with gaps of equal length."""
    (left, top), (right, bottom) = start, end
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    parts = []
    for one, other in itertools.pairwise(corners):
        # An odd number of parts, so that every side begins and ends with a dash and corners are
        # visible.
        count = 2 * (int(np.abs(other - one).max()) // (2 * length)) + 1
        places = np.rint(np.linspace(one, other, count + 1)).astype(np.int32)
        parts += [places[at : at + 2] for at in range(0, count, 2)]
    return parts


def _edges(mask: np.ndarray, line: int) -> np.ndarray:
    """Pixels near a region of another number."""
    import cv2

    kernel = np.ones((line + 1, line + 1), np.uint8)
    return cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)


def _middle(region: np.ndarray) -> tuple[int, int] | None:
    """The point (x, y) farthest inside a region; None if it is too small for a name."""
    import cv2

    if region.mean() < _NAMED_SHARE:
        return None
    inside = cv2.copyMakeBorder(region.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    _, _, _, (x, y) = cv2.minMaxLoc(depth)
    return x - 1, y - 1


@functools.cache
def _font() -> Any:
    import cv2

    return cv2.FontFace("sans")  # bundled with OpenCV; covers most scripts


def _write(
    image: np.ndarray,
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int],
    size: int,
) -> None:
    import cv2

    cv2.putText(image, text, place, colour, _font(), size, _WEIGHT)


_WEIGHT = 500  # semi-bold: legible when small on colours


@functools.lru_cache(4096)
def _text_width(text: str, size: int) -> int:
    import cv2

    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size, _WEIGHT)
    return int(width)


def _extent(text: str, size: int) -> tuple[int, int]:
    """Width and height of a tag."""
    return _text_width(text, size) + 7, size + 5


def _cut(text: str, width: int, size: int) -> str:
    """The longest prefix of a text that fits into ``width`` pixels."""
    if len(text) <= _MAX_CHARACTERS and _text_width(text, size) <= width:
        return text
    ends = range(min(len(text), _MAX_CHARACTERS))
    end = bisect.bisect_right(ends, width, key=lambda end: _text_width(text[:end] + "…", size))
    return text[: max(0, end - 1)] + "…"


def _within(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """The size at which the longer side is ``side``."""
    scale = side / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _enlarged(shape: tuple[int, ...]) -> tuple[int, int]:
    """A size at which text is readable: the original, or a whole multiple."""
    height, width = shape[:2]
    factor = max(1, -(-MIN_SIDE // max(height, width)))
    return factor * height, factor * width


def _name(number: int, names: Names, kind: str) -> str:
    known = names.get(kind, ()) if isinstance(names, Mapping) else names
    return known[number] if 0 <= number < len(known) else str(number)


def _scored(name: str, score: float | None) -> str:
    return name if score is None else f"{name} {score:.2f}"


def _colour_of(name: str, labels: Sequence[str]) -> tuple[int, int, int]:
    # An unknown class has at least the same colour in all images.
    return class_colour(labels.index(name) if name in labels else zlib.crc32(name.encode()))


def _area(box: Sequence[int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
