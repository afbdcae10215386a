"""The report of a stream that was learned: scores over time, drifts, forgetting and gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from aitk.core.reporting.charts import BOTTOM, TOP, Frame, legend, number, svg, svg_text
from aitk.core.reporting.page import Page

_HEIGHT = 300


def stream_report(stream: Mapping[str, Any], path: Path, *, name: str) -> None:
    """Write the report of a stream.

    Args:
        stream: ``stream.json``: mini-batches with their scores, drifts and versions.
        name: of the folder of versions.
    """
    metric = stream["metric"].replace("_", " ")
    batches = [batch for batch in stream["batches"] if "score" in batch]
    learned = [batch for batch in stream["batches"] if "old" in batch]
    drifts = [drift for batch in batches for drift in batch["drifts"]]
    page = Page(f"Stream into {name}", f"{stream['task']}, one version for each mini-batch")
    rows = sum(batch["rows"] for batch in batches)
    total = sum(batch["score"] * batch["rows"] for batch in batches)
    figures = [
        ("rows", number(rows), f"{len(learned)} updates"),
        (f"prequential {metric}", f"{total / max(1, rows):.4f}", "each row before it was learned"),
        ("drifts", number(len(drifts)), ""),
    ]
    if learned:
        first, last = learned[0]["old_before"], learned[-1]["old"]
        figures.append(
            (f"held-out {metric}", f"{last:.4f}", f"{last - first:+.4f} since the start")
        )
    page.headline(figures)
    if batches:
        page.heading("Scores over time")
        page.figure(
            _chart(batches, learned, drifts, metric),
            caption="Each mini-batch, scored before it was learned, and the rows held out when the"
            " data was prepared, scored after. Dashed lines: detected drifts.",
        )
    inputs = [(batch["first_row"] + batch["rows"], batch["inputs"]) for batch in batches
              if batch.get("inputs") is not None]  # fmt: skip
    if inputs:
        own = [drift for drift in drifts if drift["signal"] == "inputs"]
        page.figure(
            _lines({"distance of the inputs": inputs}, own, y_label=""),
            caption="How far inputs are from those of training, for the encoder of the first"
            " version, in standard deviations.",
        )
    if drifts:
        page.heading("Drifts")
        page.table([dict(drift) for drift in drifts])
    if learned:
        page.heading("Forgetting and gain")
        page.text(
            f"Forgetting is what the {metric} of the old held-out rows lost since the start; gain"
            " is what an update added on new rows that it did not learn.",
            note=True,
        )
        page.table([_line(batch, learned[0]["old_before"], metric) for batch in learned])
    page.write(path)


def _chart(
    batches: Sequence[Mapping[str, Any]],
    learned: Sequence[Mapping[str, Any]],
    drifts: Sequence[Mapping[str, Any]],
    metric: str,
) -> Markup:
    series = {"new rows, before they were learned": [(_end(b), b["score"]) for b in batches]}
    if learned:
        start = (float(learned[0]["first_row"]), learned[0]["old_before"])
        series["old held-out rows"] = [start, *((_end(b), b["old"]) for b in learned)]
    return _lines(series, drifts, y_label=metric)


def _lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    drifts: Sequence[Mapping[str, Any]],
    *,
    y_label: str,
) -> Markup:
    """Lines over the rows of the stream, with a mark at each drift."""
    every = [point for points in series.values() for point in points]
    frame = Frame([0.0, *(x for x, _ in every)], [y for _, y in every], height=_HEIGHT)
    body = [frame.axes("row", y_label)]
    for place, drift in enumerate(drifts):
        x = frame.x(drift["row"])
        body.append(
            Markup('<line class="guide" x1="{0:.1f}" y1="{1}" x2="{0:.1f}" y2="{2}">').format(
                x, TOP, _HEIGHT - BOTTOM
            )
            + Markup("<title>{}</title></line>").format(
                f"drift of the {drift['signal']} at row {drift['row']}, {drift['at']}"
            )
        )
        body.append(svg_text(x + 4, TOP + 10 + 14 * (place % 3), drift["signal"], "start"))
    for index, (name, points) in enumerate(series.items(), 1):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
        body.append(Markup('<polyline class="line s{}" points="{}"/>').format(index, path))
        for x, y in points:
            body.append(
                Markup('<circle class="dot s{}" cx="{:.1f}" cy="{:.1f}" r="2.5">').format(
                    index, frame.x(x), frame.y(y)
                )
                + Markup("<title>{}</title></circle>").format(f"{name}: {number(y)} at {number(x)}")
            )
    return svg(body, ", ".join(series), height=_HEIGHT) + legend(series)


def _end(batch: Mapping[str, Any]) -> float:
    return float(batch["first_row"] + batch["rows"])


def _line(batch: Mapping[str, Any], first: float, metric: str) -> dict[str, Any]:
    gain = None
    if batch.get("new") is not None and batch.get("new_before") is not None:
        gain = round(batch["new"] - batch["new_before"], 4)
    return {
        "version": batch["version"],
        "at": batch["at"],
        "learned": batch["learned"],
        "replayed": batch["replayed"],
        f"{metric} before": batch.get("score"),
        "old held-out": batch["old"],
        "forgetting": round(first - batch["old"], 4),
        "gain": gain,
        "current": "yes" if batch["current"] else "no",
    }
