"""Charts as small inline SVG: no library, no script, text in the reader's fonts.

Colours are the report's CSS variables, so one file suits light mode, dark mode and print. Equal
numbers always give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 26, 40
LARGEST = 1e100  # differences between larger numbers may overflow
SERIES = 4  # number of colours in the style sheet

Points = Sequence[tuple[float, float]]


def line_chart(series: Mapping[str, Points], *, x_label: str, y_label: str = "") -> Markup:
    """Draw lines on common axes, omitting points that cannot be drawn."""
    clean = {
        name: [(x, y) for x, y in points if abs(x) < LARGEST and abs(y) < LARGEST]
        for name, points in series.items()
    }
    every = [point for points in clean.values() for point in points] or [(0.0, 0.0)]
    frame = Frame([x for x, _ in every], [y for _, y in every])
    body = [frame.axes(x_label, y_label)]
    for index, (name, points) in enumerate(clean.items()):
        colour = f"s{index % SERIES + 1}"
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
        body.append(Markup('<polyline class="line {}" points="{}"/>').format(colour, path))
        for x, y in points if len(points) <= 40 else ():
            body.append(
                Markup(
                    '<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title>'
                ).format(colour, frame.x(x), frame.y(y), f"{name}: {number(y)} at {number(x)}")
                + Markup("</circle>")
            )
    return svg(body, f"{', '.join(clean)} over {x_label}") + legend(clean)


def column_chart(x: Sequence[float], y: Sequence[float], *, x_label: str) -> Markup:
    """Draw a histogram: a column at each x with height y."""
    frame = Frame(_with_margin(x), [0.0, *y])
    width = max(1.0, (WIDTH - LEFT - RIGHT) / max(len(x) + 1, 2) * 0.8)
    body = [frame.axes(x_label, "")]
    for place, height in zip(x, y, strict=True):
        body.append(
            Markup('<rect class="s1" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">').format(
                frame.x(place) - width / 2, frame.y(height), width, frame.y(0) - frame.y(height)
            )
            + Markup("<title>{}</title></rect>").format(f"{number(place)}: {number(height)}")
        )
    return svg(body, x_label)


def calibration_chart(bins: Sequence[Mapping[str, float]]) -> Markup:
    """Draw a reliability diagram (Guo et al. 2017, figure 1): accuracy against confidence.

    Each of ``bins`` has ``rows``, ``confidence`` and ``accuracy``; the area of a dot shows its
    rows.
    """
    frame = Frame([0.0, 1.0], [0.0, 1.0], width=340, height=300)
    most = max((item["rows"] for item in bins), default=1)
    body = [frame.axes("confidence", "accuracy")]
    body.append(
        Markup('<line class="guide" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
            frame.x(0), frame.y(0), frame.x(1), frame.y(1)
        )
    )
    for item in bins:
        words = (
            f"{item['rows']} rows: confidence {item['confidence']:.2f}, "
            f"accuracy {item['accuracy']:.2f}"
        )
        body.append(
            Markup('<circle class="dot s1 see-through" cx="{:.1f}" cy="{:.1f}" r="{:.1f}">').format(
                frame.x(item["confidence"]),
                frame.y(item["accuracy"]),
                3 + 9 * math.sqrt(item["rows"] / most),
            )
            + Markup("<title>{}</title></circle>").format(words)
        )
    return svg(body, "accuracy against confidence", width=340, height=300)


def heat_map(shares: Sequence[Sequence[float]], titles: Sequence[Sequence[str]]) -> Markup:
    """Draw a square matrix of shares in 0..1 that is too large for a table, with tooltips."""
    size = len(shares)
    body = []
    for row in range(size):
        for column in range(size):
            if shares[row][column] > 0:
                body.append(
                    Markup('<rect class="{}" x="{}" y="{}" width="1" height="1" ').format(
                        "s1" if row == column else "s2", column, row
                    )
                    + Markup('fill-opacity="{:.2f}"><title>{}</title></rect>').format(
                        0.35 + 0.65 * shares[row][column], titles[row][column]
                    )
                )
    return Markup(
        '<svg class="heat" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>'
    ).format("confusion matrix", size, size, Markup("").join(body))


def interval_bar(value: float, low: float, high: float) -> Markup:
    """Draw a number in 0..1 with its interval, for a table row."""
    return Markup(
        '<svg class="interval" role="img" aria-label="interval" viewBox="0 0 120 12">'
        '<line class="rail" x1="0" y1="6" x2="120" y2="6"/>'
        '<line class="range" x1="{:.1f}" y1="6" x2="{:.1f}" y2="6"/>'
        '<circle class="dot s1" cx="{:.1f}" cy="6" r="3.2"/></svg>'
    ).format(120 * low, 120 * high, 120 * value)


def number(value: float) -> str:
    """Format a number: up to four significant digits, with thousands separators."""
    if isinstance(value, int):  # may exceed the range of floats
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e12:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers that cover a range."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 8)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


class Frame:
    """Maps data coordinates to drawing coordinates."""

    def __init__(
        self,
        x: Sequence[float],
        y: Sequence[float],
        *,
        width: int = WIDTH,
        height: int = HEIGHT,
    ):
        self.width, self.height = width, height
        self.x_low, self.x_high = _range(x)
        self.y_low, self.y_high = _range(y)

    def x(self, value: float) -> float:
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return LEFT + share * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def axes(
        self, x_label: str, y_label: str, *, x_ticks: Sequence[tuple[float, str]] | None = None
    ) -> Markup:
        """The axes with grid and names.

        Args:
            x_ticks: positions on the x axis with names, instead of round numbers.
        """
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        parts = []
        for value in ticks(self.y_low, self.y_high):
            parts.append(
                Markup('<line class="grid" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(
                    LEFT, self.y(value), right, self.y(value)
                )
            )
            parts.append(svg_text(LEFT - 8, self.y(value) + 4, number(value), "end"))
        if x_ticks is None:
            x_ticks = [(value, number(value)) for value in ticks(self.x_low, self.x_high)]
        for value, words in x_ticks:
            parts.append(svg_text(self.x(value), bottom + 17, words, "middle"))
        parts.append(
            Markup('<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                LEFT, bottom, right, bottom
            )
        )
        parts.append(svg_text(right, self.height - 6, x_label, "end"))
        if y_label:
            parts.append(svg_text(LEFT, TOP - 12, y_label, "start"))
        return Markup("").join(parts)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        half = max(0.5, abs(low) / 1000)
        return low - half, high + half
    return low, high


def _with_margin(values: Sequence[float]) -> list[float]:
    """Add a margin of half a column at both ends."""
    low, high = min(values, default=0), max(values, default=0)
    half = (high - low) / max(2 * (len(values) - 1), 1) or 0.5
    return [low - half, high + half]


def svg_text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, words
    )


def legend(series: Mapping[str, Points]) -> Markup:
    if len(series) < 2:
        return Markup("")
    items = [
        Markup('<li><i class="s{}"></i>{}</li>').format(index % SERIES + 1, name)
        for index, name in enumerate(series)
    ]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def svg(body: Sequence[Markup], label: str, *, width: int = WIDTH, height: int = HEIGHT) -> Markup:
    return Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}" style="max-width:{}px">'
    ).format(label, width, height, width) + Markup("{}</svg>").format(escape(Markup("").join(body)))
