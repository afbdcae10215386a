"""How an image is fitted into the size that a model reads, and the way back.

Places are continuous: an image of width w spans 0..w, and the centre of its first pixel lies
at 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitk.core.contract.options import unknown_name
from aitk.vision.models.settings import FITS

#: What surrounds an image: the grey that detectors are commonly trained with.
GREY = 114
#: The class of a mask's pixels of which nothing is known: neither learnt nor scored.
VOID = 255

Place = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True)
class Fit:
    """Where an image lies inside the one that was made of it.

    Attributes:
        scale_x: fitted pixels for each pixel of the original.
        scale_y: the same, downwards.
        left: where the original's left edge lies in the fitted image; below 0 where it is cut.
        top: the same, from above.
        height: of the original, in pixels.
        width: of the original, in pixels.
    """

    scale_x: float
    scale_y: float
    left: float
    top: float
    height: int
    width: int

    def to_array(self) -> np.ndarray:
        """(6,) float32, in the order of the attributes."""
        values = (self.scale_x, self.scale_y, self.left, self.top, self.height, self.width)
        return np.array(values, np.float32)

    @classmethod
    def from_array(cls, values: np.ndarray) -> Fit:
        """What ``to_array`` made."""
        scale_x, scale_y, left, top, height, width = (float(value) for value in values)
        return cls(scale_x, scale_y, left, top, round(height), round(width))

    def boxes_in(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) of the original in pixels of the fitted image, not clipped to it."""
        return (np.asarray(boxes, np.float32) * self._scales + self._corner).astype(np.float32)

    def boxes_out(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) of the fitted image in pixels of the original, clipped to it."""
        return clip_boxes(
            (np.asarray(boxes, np.float32) - self._corner) / self._scales, (self.height, self.width)
        )

    def mask_out(self, scores: np.ndarray) -> np.ndarray:
        """What a model said of each pixel, at the size of the original.

        Args:
            scores: (h, w) or (h, w, c) of the fitted image. uint8 are classes: the nearest
                pixel's is taken. Floats are scores: they are interpolated.

        Returns:
            (height, width) or (height, width, c). Where the original was cut off: 255 for
            classes, NaN for scores.
        """
        inside, shown = self._places(scores.shape)
        classes = scores.dtype == np.uint8
        rows, columns = (part.stop - part.start for part in shown)
        seen = _sampled(scores[inside], (rows, columns), classes=classes)
        if (rows, columns) == (self.height, self.width):
            return seen
        shape = (self.height, self.width, *scores.shape[2:])
        whole = np.full(shape, VOID if classes else np.nan, scores.dtype)
        whole[shown] = seen
        return whole

    def _places(self, size: tuple[int, ...]) -> tuple[Place, Place]:
        """The part of the fitted image that the original fills, and what it shows of it."""
        rows, upper = _overlap(self.top, self.scale_y, size[0], self.height)
        columns, west = _overlap(self.left, self.scale_x, size[1], self.width)
        return (rows, columns), (upper, west)

    @property
    def _scales(self) -> np.ndarray:
        return np.array([self.scale_x, self.scale_y] * 2)

    @property
    def _corner(self) -> np.ndarray:
        return np.array([self.left, self.top] * 2)


def fit_image(image: np.ndarray, size: tuple[int, int], *, how: str) -> tuple[np.ndarray, Fit]:
    """Bring an image to a size.

    Args:
        image: (h, w, 3) uint8.
        size: height and width wanted.
        how: ``stretch`` each axis by itself; ``letterbox``: keep the proportions, grey around
            the image; ``crop``: keep the proportions, the middle of the image.

    Returns:
        (height, width, 3) uint8, and how it was fitted.
    """
    fit = plan_fit(image.shape[:2], size, how=how)
    inside, shown = fit._places(size)
    rows, columns = (part.stop - part.start for part in inside)
    inner = resized(image[shown], (rows, columns))
    if (rows, columns) == tuple(size):
        return inner, fit
    canvas = np.full((*size, 3), GREY, np.uint8)
    canvas[inside] = inner
    return canvas, fit


def fit_mask(mask: np.ndarray, fit: Fit, size: tuple[int, int]) -> np.ndarray:
    """Bring a mask (h, w) uint8 to the size its image was fitted to; 255 around it."""
    inside, shown = fit._places(size)
    rows, columns = (part.stop - part.start for part in inside)
    canvas = np.full(size, VOID, np.uint8)
    canvas[inside] = _sampled(mask[shown], (rows, columns), classes=True)
    return canvas


def plan_fit(shape: tuple[int, ...], size: tuple[int, int], *, how: str) -> Fit:
    """How an image of a shape (h, w) is fitted into a size; see ``fit_image``."""
    if how not in FITS:
        raise unknown_name(how, FITS, what="fit")
    (height, width), (rows, columns) = shape, size
    if how == "stretch":
        return Fit(columns / width, rows / height, 0.0, 0.0, height, width)
    if how == "letterbox":
        scale = min(rows / height, columns / width)
        inner_rows = min(rows, max(1, round(height * scale)))
        inner_columns = min(columns, max(1, round(width * scale)))
        # Whole pixels, so that the edge of the image is sharp and the way back is exact.
        return Fit(
            inner_columns / width,
            inner_rows / height,
            float((columns - inner_columns) // 2),
            float((rows - inner_rows) // 2),
            height,
            width,
        )
    scale = max(rows / height, columns / width)
    kept_rows = min(height, max(1, round(rows / scale)))
    kept_columns = min(width, max(1, round(columns / scale)))
    scale_x, scale_y = columns / kept_columns, rows / kept_rows
    return Fit(
        scale_x,
        scale_y,
        -((width - kept_columns) // 2) * scale_x,
        -((height - kept_rows) // 2) * scale_y,
        height,
        width,
    )


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (h, w, 3) of another size: averaged where it shrinks, interpolated elsewhere."""
    import cv2

    height, width = image.shape[:2]
    rows, columns = size
    smaller = (min(rows, height), min(columns, width))
    if smaller != (height, width):
        image = cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != (rows, columns):
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return image


def clip_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (n, 4) cut at the edges of an image of a size (height, width): float32."""
    limits = np.array([size[1], size[0]] * 2)
    return np.clip(boxes, 0, limits).astype(np.float32)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """(n,) area of each of the boxes (n, 4), in square pixels; 0 for one turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def _overlap(start: float, scale: float, room: int, length: int) -> tuple[slice, slice]:
    """Along one axis: what the original covers of the fitted image, and what shows of it."""
    covered = slice(max(0, round(start)), min(room, round(start + scale * length)))
    shows = slice(max(0, round(-start / scale)), min(length, round((room - start) / scale)))
    return covered, shows


def _sampled(values: np.ndarray, size: tuple[int, int], *, classes: bool) -> np.ndarray:
    """A mask or scores (h, w[, c]) of another size."""
    import cv2

    how = cv2.INTER_NEAREST_EXACT if classes else cv2.INTER_LINEAR
    found = cv2.resize(values, size[::-1], interpolation=how)
    return found.reshape(*size, *values.shape[2:])  # OpenCV drops a last axis of 1
