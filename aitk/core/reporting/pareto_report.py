"""The page of a search among compressed models: the front, what was tried, what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from aitk.core.metrics.pareto import pareto_front
from aitk.core.reporting.charts import Frame, legend, number, svg
from aitk.core.reporting.page import Page

#: What a size or a time of 0, after rounding, is drawn as.
SMALLEST = 1e-3


def pareto_report(
    points: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    name: str,
    metric: str,
    verdict: str,
    refused: Mapping[str, str],
) -> None:
    """Write the page.

    Args:
        points: ``MB``, ``drop``, ``ms`` and ``front`` (bool) of each, and what else its line shows.
        verdict: which point to take, in a sentence.
        refused: why some could not be made.
    """
    page = Page(name, "compressed models compared")
    page.text(verdict)
    front = [point for point in points if point["front"]]
    for size, words in (("MB", "MB"), ("ms", "milliseconds for one row")):
        page.heading(f"{metric} lost against {words}", level=3)
        page.figure(scatter_chart(points, size, x_label=words, y_label=f"{metric} lost"))
    page.table(front, caption="the Pareto front, on validation rows")
    page.table(
        [point for point in points if not point["front"]],
        caption="the others",
        folded="what another point beats in everything",
    )
    if refused:
        page.table(
            [{"point": point, "reason": reason} for point, reason in refused.items()],
            caption="not made",
            folded="what could not be made",
        )
    page.write(path)


def scatter_chart(
    points: Sequence[Mapping[str, Any]], x: str, *, x_label: str, y_label: str
) -> Markup:
    """Draw every point on a logarithmic axis, the front in another colour, the knee point larger.

    A line joins the points that no other is at least as good as in these two respects: of the whole
    front some are there for the third.
    """
    places = np.log10([max(point[x], SMALLEST) for point in points])
    frame = Frame(places.tolist(), [point["drop"] for point in points])
    body = [frame.axes(x_label, y_label, x_ticks=_decades(places.min(), places.max()))]
    costs = np.array([(point[x], point["drop"]) for point in points])
    front = sorted(tuple(costs[at]) for at in pareto_front(costs))
    path = " ".join(
        f"{frame.x(math.log10(max(at, SMALLEST))):.1f},{frame.y(lost):.1f}" for at, lost in front
    )
    body.append(Markup('<polyline class="line s1" points="{}"/>').format(path))
    for place, point in zip(places, points, strict=True):
        colour = "s1" if point["front"] else "s2"
        words = f"{point['point']}: {number(point['drop'])} at {number(point[x])}"
        body.append(
            Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}">').format(
                colour, frame.x(place), frame.y(point["drop"]), 7 if point["knee"] else 3
            )
            + Markup("<title>{}</title></circle>").format(words)
        )
    return svg(body, f"{y_label} over {x_label}") + legend({"the front": (), "the others": ()})


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    """Ticks at 1, 2 and 5 of each power of ten between two logarithms."""
    values = [
        digit * 10.0**power
        for power in range(math.floor(low), math.ceil(high) + 1)
        for digit in (1, 2, 5)
    ]
    return [
        (math.log10(value), number(value)) for value in values if low <= math.log10(value) <= high
    ]
