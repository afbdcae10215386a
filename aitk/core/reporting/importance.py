"""What contributed to predictions over many rows: parts by mean weight, places by mean heat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from aitk.core.reporting.charts import svg

LEAST_ROWS = 2  # that a part is in, to be reported
MOST_PARTS = 30
_CELL = 14  # pixels of a map's cell


def global_importance(explanations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The parts that contribute most over rows, for each prediction that was explained.

    Returns:
        ``explained``, ``part``, ``rows`` with it, and its ``mean_weight`` in these, those of the
        largest summed weight first. Parts in one row alone are left out.
    """
    weights: dict[tuple[str, str], list[float]] = defaultdict(list)
    for explanation in explanations:
        explained = explanation.get("explained", explanation.get("prediction", ""))
        own: dict[str, float] = defaultdict(float)
        for part in explanation.get("parts", ()):
            text = " ".join(part["text"].split()).casefold()
            if any(letter.isalnum() for letter in text):
                own[text] += part["weight"]
        for text, weight in own.items():
            name = str(explained) if isinstance(explained, str) else ""
            weights[name, text].append(weight)
    found: list[dict[str, Any]] = [
        {
            "explained": explained,
            "part": text,
            "rows": len(each),
            "mean_weight": round(float(np.mean(each)), 6),
        }
        for (explained, text), each in weights.items()
        if len(each) >= LEAST_ROWS
    ]
    return sorted(found, key=lambda line: -abs(line["mean_weight"]) * line["rows"])[:MOST_PARTS]


def mean_heat(explanations: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    """The mean of the maps of heat, (rows, columns) from 0 to 1; None where there are none."""
    maps = [np.asarray(each["heat"], float) for each in explanations if each.get("heat")]
    return np.mean(maps, axis=0) if maps else None


def heat_chart(heat: np.ndarray) -> Markup:
    """Draw a map of heat, with its scale at the right."""
    rows, columns = heat.shape
    top = float(heat.max()) or 1.0
    width, height = (columns + 4) * _CELL, rows * _CELL
    cells = [
        _cell(column * _CELL, row * _CELL, heat[row, column] / top, f"{heat[row, column]:.2f}")
        for row in range(rows)
        for column in range(columns)
    ]
    for row in range(rows):
        share = 1 - row / max(1, rows - 1)
        cells.append(_cell((columns + 2) * _CELL, row * _CELL, share, f"{share * top:.2f}"))
    return svg(cells, "mean importance of each place", width=width, height=height)


def _cell(x: float, y: float, share: float, title: str) -> Markup:
    return Markup(
        '<rect class="s1" x="{0}" y="{1}" width="{2}" height="{2}" fill-opacity="{3:.2f}">'
        "<title>{4}</title></rect>"
    ).format(x, y, _CELL, share, title)
