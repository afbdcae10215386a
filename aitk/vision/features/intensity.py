"""Mapping of images with more than 8 bits per channel to 8 bits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.task import Finding, Grade

#: Range of 16 bits; images that use a smaller share of it look nearly black.
WHITE = 65_535
NEARLY_BLACK = 1 / 8
#: Share of pixels that ``auto`` clips at either end, so that single outliers have no effect.
_DARKEST, _BRIGHTEST = 0.1, 99.9
_NUMBER = r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_RANGE = re.compile(rf"\s*{_NUMBER}\s*[-:]\s*{_NUMBER}\s*")


@dataclass(frozen=True)
class IntensityRange:
    """The mapping of values to 8 bits.

    Attributes:
        ends: the values of black and white; None: minimum and maximum of each image.
    """

    ends: tuple[float, float] | None

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values of any depth -> uint8, clipped to the range."""
        values = np.nan_to_num(values.astype(np.float32))
        if self.ends is None:
            low, high = np.percentile(values, (_DARKEST, _BRIGHTEST)).tolist()
        else:
            low, high = self.ends
        scale = 255 / (high - low) if high > low else 0.0
        return np.round(np.clip((values - low) * scale, 0, 255)).astype(np.uint8)


def parse_range(text: str | None) -> IntensityRange | None:
    """Parse ``--intensity-range``; None if it was not given.

    Raises:
        UsageError: the text is malformed.
    """
    if text is None:
        return None
    if text.strip().lower() == "auto":
        return IntensityRange(None)
    found = _RANGE.fullmatch(text)
    ends = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if not ends[0] < ends[1] < float("inf"):
        hint = "Give the values of black and white, as in 0-4095, or auto"
        raise UsageError(f"cannot read {text!r}", where="--intensity-range", hint=hint)
    return IntensityRange(ends)


def from_16_bits(values: np.ndarray, given: IntensityRange | None) -> np.ndarray:
    """Values of more than 8 bits -> uint8: by the range, or with 65,535 as white.

    Raises:
        DataError: the values are decimal, signed or larger, and no range was given.
    """
    if given is not None:
        return given.apply(values)
    if values.dtype != np.uint16:
        kind = "decimal" if values.dtype.kind == "f" else f"{8 * values.itemsize}-bit"
        reason = f"holds {kind} numbers: set black and white with --intensity-range LO-HI"
        raise DataError(reason)
    return (values >> 8).astype(np.uint8)


@dataclass
class IntensityStatistics:
    """Value range of the images with more than 8 bits."""

    given: IntensityRange | None = None
    images: int = 0
    low: float = np.inf
    high: float = -np.inf

    def as_json(self) -> list[Any]:
        """All of it, for another process to go on with."""
        given = None if self.given is None else [self.given.ends]
        return [given, self.images, *((self.low, self.high) if self.images else (0.0, 0.0))]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> IntensityStatistics:
        """What ``as_json`` gave."""
        given, images, low, high = value
        if given is not None:
            given = IntensityRange(None if given[0] is None else (given[0][0], given[0][1]))
        return cls(given, images, low, high) if images else cls(given)

    def add(self, values: np.ndarray) -> None:
        """Count an image."""
        self.images += 1
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def finding(self) -> Finding | None:
        """Whether their content is visible; None without such images."""
        if not self.images:
            return None
        grade: Grade = "ok"
        values = f"values of {self.low:g} to {self.high:g}"
        held = f"{self.images:,} images of over 8 bits hold {values}"
        if self.given is None and self.high < WHITE * NEARLY_BLACK:
            grade = "warning"
            bits = max(1, int(self.high)).bit_length()
            message = (
                f"{held}, which is nearly black where {WHITE} is white: --intensity-range"
                f" 0-{(1 << bits) - 1} (or auto) stretches them"
            )
        elif self.given is None:
            message = f"{held}; {WHITE} is white: see --intensity-range"
        elif self.given.ends is None:
            message = f"{held}; the minimum of each is black and its maximum white"
        else:
            low, high = self.given.ends
            message = f"{held}; {low:g} is black and {high:g} white"
            if self.low > high or self.high < low:
                grade = "warning"
                message += ", so that nothing is visible: see --intensity-range"
        details = {"images": self.images, "low": self.low, "high": self.high}
        return Finding("intensity", grade, message, details)
