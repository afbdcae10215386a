"""Alignment of a translation with its source, as weights and as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aitk.core.reporting.image_charts import Axis, Panel, drawing, shades

CELL, MARGIN = 24, 120
BLUES = ((247, 251, 255), (107, 174, 214), (8, 48, 107))
#: Maximum number of units drawn on either side.
MAX_UNITS = 80


def explain_alignment(
    source: Sequence[str],
    target: Sequence[str],
    weights: np.ndarray,
    *,
    measure: str = "attention",
) -> dict[str, Any]:
    """The parts of a source by their mean weight, and a chart of all weights.

    Args:
        source: units of the source, as in running text.
        target: units of the translation.
        weights: (target, source), each line summing to 1.
        measure: what the weights are.

    Returns:
        JSON: ``parts``, ``alignment`` (for each target unit the source unit with the
        largest weight), and ``pictures``.
    """
    parts = [
        {"text": unit, "weight": round(float(weight), 4)}
        for unit, weight in zip(source, weights.mean(axis=0), strict=True)
    ]
    alignment = [
        {
            "target": unit,
            "source": source[int(line.argmax())],
            "weight": round(float(line.max()), 4),
        }
        for unit, line in zip(target, weights, strict=True)
    ]
    caption = f"Units of the translation (lines) and of the source (columns): {measure}"
    picture = {"caption": caption, "svg": alignment_chart(source, target, weights)}
    return {"parts": parts, "alignment": alignment, "pictures": [picture]}


def alignment_chart(source: Sequence[str], target: Sequence[str], weights: np.ndarray) -> str:
    """SVG: one line per target unit and one column per source unit; darker is more attention."""
    columns, lines = source[:MAX_UNITS], target[:MAX_UNITS]
    x, y = ([(at + 0.5, unit) for at, unit in enumerate(units)] for units in (columns, lines))
    panel = Panel(
        Axis(0, len(columns), ticks=x, turned=True),
        Axis(len(lines), 0, ticks=y),
        MARGIN,
        CELL,
        CELL * len(columns),
        CELL * len(lines),
        shades(weights[: len(lines), : len(columns)], BLUES),
    )
    width, height = MARGIN + panel.width + CELL, CELL + panel.height + MARGIN
    return str(drawing([panel], width=width, height=height, label="attention to the source"))
