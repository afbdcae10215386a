"""Resizing an image to the model's input size, and mapping results back.

Coordinates are continuous: an image of width w spans 0..w, and the centre of its first pixel is
at 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aitk.core.contract.options import unknown_name
from aitk.vision.models.settings import FITS

#: Padding colour: the grey with which detectors are commonly trained.
GREY = 114
#: Class of unknown mask pixels: neither trained on nor scored.
VOID = 255

Place = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True)
class Fit:
    """Position of an image inside its resized version.

    Attributes:
        scale_x: pixels of the resized image per pixel of the original.
        scale_y: the same vertically.
        left: the original's left edge in the resized image; negative if cropped.
        top: the original's top edge, likewise.
        height: height of the original, in pixels.
        width: width of the original, in pixels.
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
        """The inverse of ``to_array``."""
        scale_x, scale_y, left, top, height, width = (float(value) for value in values)
        return cls(scale_x, scale_y, left, top, round(height), round(width))

    def boxes_in(self, boxes: np.ndarray) -> np.ndarray:
        """Map boxes (n, 4) from the original to the resized image, without clipping."""
        return (np.asarray(boxes, np.float32) * self._scales + self._corner).astype(np.float32)

    def boxes_out(self, boxes: np.ndarray) -> np.ndarray:
        """Map boxes (n, 4) from the resized image to the original, clipped to it."""
        return clip_boxes(
            (np.asarray(boxes, np.float32) - self._corner) / self._scales, (self.height, self.width)
        )

    def mask_out(self, scores: np.ndarray) -> np.ndarray:
        """Map per-pixel outputs to the size of the original.

        Args:
            scores: (h, w) or (h, w, c) of the resized image. uint8 values are classes and use the
                nearest pixel; floats are scores and are interpolated.

        Returns:
            (height, width) or (height, width, c). Cropped areas are 255 for classes and NaN for
            scores.
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
        """The area of the resized image that the original fills, and the visible part of it."""
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
    """Resize an image.

    Args:
        image: (h, w, 3) uint8.
        size: target height and width.
        how: ``stretch``: scale each axis separately; ``letterbox``: keep the aspect ratio and pad
            with grey; ``crop``: keep the aspect ratio and crop the centre.

    Returns:
        (height, width, 3) uint8, and the fit.
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
    """Resize a mask (h, w) uint8 with its image's fit; padding is 255."""
    inside, shown = fit._places(size)
    rows, columns = (part.stop - part.start for part in inside)
    canvas = np.full(size, VOID, np.uint8)
    canvas[inside] = _sampled(mask[shown], (rows, columns), classes=True)
    return canvas


def plan_fit(shape: tuple[int, ...], size: tuple[int, int], *, how: str) -> Fit:
    """The fit of an image of shape (h, w) into a size; see ``fit_image``."""
    if how not in FITS:
        raise unknown_name(how, FITS, what="fit")
    (height, width), (rows, columns) = shape, size
    if how == "stretch":
        return Fit(columns / width, rows / height, 0.0, 0.0, height, width)
    if how == "letterbox":
        scale = min(rows / height, columns / width)
        inner_rows = min(rows, max(1, round(height * scale)))
        inner_columns = min(columns, max(1, round(width * scale)))
        # Whole pixels, so that the image border is sharp and the mapping back is exact.
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
    """Resize an image (h, w, 3): area averaging when shrinking, else interpolation."""
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
    """Clip boxes (n, 4) to an image of a size (height, width): float32."""
    limits = np.array([size[1], size[0]] * 2)
    return np.clip(boxes, 0, limits).astype(np.float32)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """(n,) area of boxes (n, 4) in square pixels; 0 for inverted boxes."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def _overlap(start: float, scale: float, room: int, length: int) -> tuple[slice, slice]:
    """Along one axis: the filled part of the resized image, the visible part of the original."""
    covered = slice(max(0, round(start)), min(room, round(start + scale * length)))
    shows = slice(max(0, round(-start / scale)), min(length, round((room - start) / scale)))
    return covered, shows


def _sampled(values: np.ndarray, size: tuple[int, int], *, classes: bool) -> np.ndarray:
    """Resample a mask or scores (h, w[, c])."""
    import cv2

    how = cv2.INTER_NEAREST_EXACT if classes else cv2.INTER_LINEAR
    found = cv2.resize(values, size[::-1], interpolation=how)
    return found.reshape(*size, *values.shape[2:])  # OpenCV drops a last axis of size 1
