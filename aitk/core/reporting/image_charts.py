"""Images with axes and marks (spectrograms, attention) as SVG with embedded PNG pixels.

Text stays text, so that any script is shown in the reader's fonts.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from aitk.core.io.images import encode_png
from aitk.core.reporting.charts import number, ticks

#: Line colours that are safe for colour-blind readers (Okabe and Ito 2008).
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, FAINT = "#777", "#aaa"


@dataclass(frozen=True)
class Axis:
    """One axis, from ``low`` (left or bottom) to ``high``.

    Attributes:
        ticks: positions and labels; None draws round numbers.
        turned: rotate the labels.
    """

    low: float
    high: float
    label: str = ""
    ticks: Sequence[tuple[float, str]] | None = None
    turned: bool = False

    def share(self, value: float) -> float:
        return (value - self.low) / ((self.high - self.low) or 1.0)

    def marks(self) -> Sequence[tuple[float, str]]:
        if self.ticks is not None:
            return self.ticks
        return [(value, number(value)) for value in ticks(self.low, self.high)]


@dataclass
class Panel:
    """A rectangle of a drawing with two axes; positions are in axis units.

    Attributes:
        pixels: (h, w, 3) uint8 RGB to fill it, top line first.
    """

    x: Axis
    y: Axis
    left: float
    top: float
    width: float
    height: float
    pixels: np.ndarray | None = None
    _marks: list[Markup] = field(default_factory=list)

    def rectangle(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        colour: str,
        opacity: float,
        framed: bool,
        title: str,
    ) -> None:
        """Draw a rectangle with a tooltip ``title``."""
        left, right, bottom, top = *map(self._across, x), *map(self._down, y)
        self._marks.append(
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"'
                ' fill-opacity="{:.2f}" stroke="{}" stroke-width="1.5"><title>{}</title></rect>'
            ).format(
                left, top, right - left, bottom - top, colour, opacity,
                colour if framed else "none", title,
            )
        )  # fmt: skip

    def line(self, x: Sequence[float], y: Sequence[float], *, colour: str) -> None:
        """Draw a line through points."""
        points = " ".join(
            f"{self._across(a):.1f},{self._down(b):.1f}" for a, b in zip(x, y, strict=True)
        )
        self._marks.append(
            Markup('<polyline fill="none" stroke="{}" points="{}"/>').format(colour, points)
        )

    def text(self, x: float, y: float, words: str) -> None:
        """Write text centred at x with its baseline at y."""
        self._marks.append(_text(self._across(x), self._down(y), words, "middle"))

    def markup(self) -> Markup:
        """The panel as an SVG fragment."""
        right, bottom = self.left + self.width, self.top + self.height
        parts = []
        if self.pixels is not None:
            data = base64.b64encode(encode_png(self.pixels, few_colours=True)).decode("ascii")
            parts.append(
                Markup(
                    '<image x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'
                    ' preserveAspectRatio="none" style="image-rendering:pixelated"'
                    ' href="data:image/png;base64,{}"/>'
                ).format(self.left, self.top, self.width, self.height, data)
            )
        parts.append(
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="none"'
                ' stroke="{}"/>'
            ).format(self.left, self.top, self.width, self.height, FAINT)
        )
        parts += self._marks
        for value, words in self.y.marks():
            parts.append(_text(self.left - 6, self._down(value) + 4, words, "end"))
        for value, words in self.x.marks():
            place = self._across(value)
            if self.x.turned:
                parts.append(_text(place + 4, bottom + 6, words, "end", turned=True))
            else:
                parts.append(_text(place, bottom + 16, words, "middle"))
        if self.x.label:
            parts.append(_text(right, bottom + 32, self.x.label, "end"))
        if self.y.label:
            parts.append(_text(self.left - 6, self.top - 8, self.y.label, "end"))
        return Markup("").join(parts)

    def _across(self, value: float) -> float:
        return self.left + self.x.share(value) * self.width

    def _down(self, value: float) -> float:
        return self.top + (1 - self.y.share(value)) * self.height


def drawing(panels: Sequence[Panel], *, width: float, height: float, label: str) -> Markup:
    """Combine panels into one SVG, for a page or a separate file."""
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{0}"'
        ' viewBox="0 0 {1:.0f} {2:.0f}" style="width:100%;max-width:{1:.0f}px"'
        ' font-family="sans-serif" font-size="12" fill="{3}">{4}</svg>'
    ).format(label, width, height, INK, Markup("").join(panel.markup() for panel in panels))


def shades(shares: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Map numbers in 0..1 (h, w) to (h, w, 3) uint8, linearly along a list of colours."""
    stops = np.linspace(0, 1, len(colours))
    parts = [np.interp(shares, stops, [colour[part] for colour in colours]) for part in range(3)]
    return np.stack(parts, axis=-1).astype(np.uint8)


def _text(x: float, y: float, words: str, anchor: str, *, turned: bool = False) -> Markup:
    # XML forbids control characters, which a tokeniser's units may contain.
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in words)
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>').format(
        x, y, anchor, Markup(turn), shown
    )
