"""Images of more than 8 bits a channel: which of their values are black and white."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.task import Finding, Grade

#: Of 16 bits; nearly black is what uses a smaller share of them.
WHITE = 65_535
NEARLY_BLACK = 1 / 8
#: Shares of the pixels that ``auto`` lets be black and white, so that single ones decide nothing.
_DARKEST, _BRIGHTEST = 0.1, 99.9
_NUMBER = r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_RANGE = re.compile(rf"\s*{_NUMBER}\s*[-:]\s*{_NUMBER}\s*")


@dataclass(frozen=True)
class IntensityRange:
    """How values become 8 bits.

    Attributes:
        ends: what is black and what is white; None: of each image its darkest and brightest.
    """

    ends: tuple[float, float] | None

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values of any depth -> uint8, those beyond the ends cut off."""
        values = np.nan_to_num(values.astype(np.float32))
        if self.ends is None:
            low, high = np.percentile(values, (_DARKEST, _BRIGHTEST)).tolist()
        else:
            low, high = self.ends
        scale = 255 / (high - low) if high > low else 0.0
        return np.round(np.clip((values - low) * scale, 0, 255)).astype(np.uint8)


def parse_range(text: str | None) -> IntensityRange | None:
    """The range that ``--intensity-range`` names; None where nobody says.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    if text.strip().lower() == "auto":
        return IntensityRange(None)
    found = _RANGE.fullmatch(text)
    ends = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if not ends[0] < ends[1] < float("inf"):
        hint = "Say what is black and what is white, as in 0-4095, or auto"
        raise UsageError(f"cannot read {text!r}", where="--intensity-range", hint=hint)
    return IntensityRange(ends)


def from_16_bits(values: np.ndarray, given: IntensityRange | None) -> np.ndarray:
    """Values of more than 8 bits -> uint8: as given, else 65,535 is white.

    Raises:
        DataError: nobody says what is white in decimal numbers, or in signed or larger ones.
    """
    if given is not None:
        return given.apply(values)
    if values.dtype != np.uint16:
        kind = "decimal" if values.dtype.kind == "f" else f"{8 * values.itemsize}-bit"
        reason = f"holds {kind} numbers: --intensity-range LO-HI says what is black and white"
        raise DataError(reason)
    return (values >> 8).astype(np.uint8)


@dataclass
class IntensityStatistics:
    """Which values the images of more than 8 bits hold."""

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
        """Whether what they hold is seen; None where there is no such image."""
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
            message = f"{held}; of each the darkest is black and the brightest white"
        else:
            low, high = self.given.ends
            message = f"{held}; {low:g} is black and {high:g} white"
            if self.low > high or self.high < low:
                grade = "warning"
                message += ", so that they show nothing: see --intensity-range"
        details = {"images": self.images, "low": self.low, "high": self.high}
        return Finding("intensity", grade, message, details)
