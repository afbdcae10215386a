"""Which source words a translation looks at: its attention, as weights and as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

CELL_IN, MARGIN_IN = 0.32, 1.6
#: No more units of either side are drawn.
MAX_UNITS = 80


def explain_alignment(
    source: Sequence[str], target: Sequence[str], weights: np.ndarray
) -> dict[str, Any]:
    """The parts of a source by the attention they are paid, and a picture of all of it.

    Args:
        source: units of the source, as they are written in running text.
        target: units of the translation.
        weights: (target, source) attention, each line summing to 1.

    Returns:
        JSON: ``parts``, ``alignment`` (of each target unit the source unit it looks at most), and
        ``pictures``.
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
    caption = "Attention of each unit of the translation (lines) to the source (columns)"
    picture = {"caption": caption, "png": alignment_png(source, target, weights)}
    return {"parts": parts, "alignment": alignment, "pictures": [picture]}


def alignment_png(source: Sequence[str], target: Sequence[str], weights: np.ndarray) -> bytes:
    """A picture with a line a target unit and a column a source unit, dark where it looks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, lines = (
        [each.replace("$", r"\$") for each in units[:MAX_UNITS]]  # it would begin mathematics
        for units in (source, target)
    )
    size = (MARGIN_IN + CELL_IN * len(columns), MARGIN_IN + CELL_IN * len(lines))
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shown = weights[: len(lines), : len(columns)]
    axes.imshow(shown, aspect="auto", cmap="Blues", interpolation="nearest", vmin=0, vmax=1)
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    axes.set_yticks(range(len(lines)), lines, fontsize=8)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()
