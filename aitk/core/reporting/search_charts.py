"""Charts of a hyperparameter search: history, slices, parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from aitk.core.reporting.charts import (
    BOTTOM,
    SERIES,
    TOP,
    WIDTH,
    Frame,
    legend,
    number,
    svg,
    svg_text,
)

#: Height of parallel coordinates, without the axis names below.
HEIGHT = 300
LINE = 15
_MARGIN = 60  # on both sides of parallel coordinates


@dataclass(frozen=True)
class Axis:
    """A parameter, or the score: the values of trials on an axis.

    Attributes:
        values: value of each trial, or None.
        log: use a logarithmic scale.
    """

    name: str
    values: Sequence[Any]
    log: bool = False

    @property
    def categories(self) -> list[str]:
        """The values in order, if they are not numbers; else empty."""
        known = [value for value in self.values if value is not None]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
            return []
        return sorted({str(value) for value in known})

    def place(self, value: Any) -> float:
        """The position of a value, in axis units."""
        if self.categories:
            return float(self.categories.index(str(value)))
        return math.log10(value) if self.log and value > 0 else float(value)


def history_chart(
    scores: Sequence[tuple[int, str, float]], *, y_label: str, higher_is_better: bool
) -> Markup:
    """Draw the score of each trial as a dot, and the best so far as a line.

    Args:
        scores: number of the trial, group (model) and score, in order.
    """
    groups = list(dict.fromkeys(group for _, group, _ in scores))
    frame = Frame([n for n, _, _ in scores], [score for _, _, score in scores])
    better = max if higher_is_better else min
    path, best = [], None
    for n, _, score in scores:
        if best is not None:
            path.append((n, best))
        best = score if best is None else better(best, score)
        path.append((n, best))
    points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in path)
    body = [frame.axes("trial", y_label)]
    body.append(Markup('<polyline class="line guide" points="{}"/>').format(points))
    for n, group, score in scores:
        title = f"trial {n}, {group}: {number(score)}"
        body.append(_dot(frame.x(n), frame.y(score), groups.index(group), title))
    return svg(body, f"{y_label} of each trial") + legend(dict.fromkeys(groups, ()))


def slice_chart(
    axis: Axis, scores: Sequence[float], titles: Sequence[str], *, y_label: str
) -> Markup:
    """Draw the score of each trial against the value of a parameter."""
    known = [
        (axis.place(value), score, title)
        for value, score, title in zip(axis.values, scores, titles, strict=True)
        if value is not None
    ]
    frame = Frame([x for x, _, _ in known], [y for _, y, _ in known], width=340, height=220)
    body = [frame.axes(axis.name, y_label, x_ticks=_ticks(axis, frame))]
    body += [_dot(frame.x(x), frame.y(y), 0, title) for x, y, title in known]
    return svg(body, f"{y_label} over {axis.name}", width=340, height=220)


def parallel_coordinates(
    axes: Sequence[Axis], scores: Sequence[float], titles: Sequence[str], *, higher_is_better: bool
) -> Markup:
    """Draw each trial as a line through its values on parallel axes (Inselberg 1985).

    Better scores have stronger colours.
    """
    gap = (WIDTH - 2 * _MARGIN) / max(1, len(axes) - 1)
    frames = [
        Frame([0, 1], [axis.place(v) for v in axis.values if v is not None], height=HEIGHT)
        for axis in axes
    ]
    order = sorted(range(len(scores)), key=lambda i: scores[i], reverse=not higher_is_better)
    body = []
    for rank, trial in enumerate(order):  # best last, on top
        share = (rank + 1) / len(order)
        points = [
            (_MARGIN + gap * index, frame.y(axis.place(axis.values[trial])))
            for index, (axis, frame) in enumerate(zip(axes, frames, strict=True))
            if axis.values[trial] is not None
        ]
        body.append(
            Markup(
                '<polyline class="line {}" stroke-opacity="{:.2f}" points="{}"><title>{}</title>'
                "</polyline>"
            ).format(
                "s2" if rank == len(order) - 1 else "s1",
                1.0 if rank == len(order) - 1 else 0.1 + 0.7 * share**2,
                " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
                titles[trial],
            )
        )
    for index, (axis, frame) in enumerate(zip(axes, frames, strict=True)):
        x = _MARGIN + gap * index
        body.append(
            Markup('<line class="axis" x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}"/>').format(
                x, TOP, HEIGHT - BOTTOM
            )
        )
        if axis.categories:
            for place, words in enumerate(axis.categories):
                body.append(svg_text(x + 5, frame.y(place) + 4, words, "start"))
        else:  # minimum and maximum, outside of the lines
            known = [value for value in axis.values if value is not None]
            body.append(svg_text(x, TOP - 8, f"{max(known):.3g}", "middle"))
            body.append(svg_text(x, HEIGHT - BOTTOM + 15, f"{min(known):.3g}", "middle"))
        # Neighbouring names would overlap, so every second one is placed lower.
        body.append(svg_text(x, HEIGHT - BOTTOM + 32 + 15 * (index % 2), axis.name, "middle"))
    height = HEIGHT + 2 * LINE
    return svg(body, ", ".join(axis.name for axis in axes), height=height)


def _ticks(axis: Axis, frame: Frame) -> list[tuple[float, str]] | None:
    """The labels of a slice's x axis; None for the default number labels."""
    if axis.categories:
        return [(float(place), name) for place, name in enumerate(axis.categories)]
    if not axis.log:
        return None
    low, high = math.floor(frame.x_low), math.ceil(frame.x_high)
    parts = (1,) if high - low > 2 else (1, 2, 5)
    found = [(math.log10(part) + power, part * 10.0**power)
             for power in range(low, high + 1) for part in parts]  # fmt: skip
    return [(x, number(value)) for x, value in found if frame.x_low <= x <= frame.x_high]


def _dot(x: float, y: float, group: int, title: str) -> Markup:
    return Markup(
        '<circle class="dot s{} see-through" cx="{:.1f}" cy="{:.1f}" r="4">'
        "<title>{}</title></circle>"
    ).format(group % SERIES + 1, x, y, title)


def shares(importances: Mapping[str, float]) -> dict[str, float]:
    """Importances as bars, largest first."""
    ordered = sorted(importances.items(), key=lambda item: -item[1])
    return {name: round(share, 3) for name, share in ordered}
