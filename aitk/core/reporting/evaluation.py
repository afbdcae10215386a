"""The scores of an evaluation, on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.artifacts.run import read_figure
from aitk.core.metrics.baselines import describe_baselines
from aitk.core.metrics.statistics import describe_intervals
from aitk.core.reporting.card import describe_predict_options
from aitk.core.reporting.charts import (
    calibration_chart,
    heat_map,
    interval_bar,
)
from aitk.core.reporting.page import Page

LONG_TABLE = 12  # rows; longer tables are folded
_SCALE = "from 0 to 1"  # column of drawn intervals
LARGEST_MATRIX = 24  # maximum classes of a confusion matrix shown as numbers
LARGEST_HEAT_MAP = 500  # maximum classes; the number of cells grows quadratically
WORST_CONFUSIONS = 15


def add_evaluation(
    page: Page, name: str, result: Mapping[str, Any], *, main: str, folder: Path
) -> None:
    """Add the scores of one split, with intervals, baselines, charts and confusions."""
    page.heading(f"Scores on {name}")
    intervals = describe_intervals(result["metrics"].values())
    page.text(f"{result['rows']:,} rows" + (f"; {intervals}" if intervals else ""), note=True)
    details = result.get("details", {})
    if details.get("protocol"):
        page.text(details["protocol"])
    if predict_options := describe_predict_options(result):
        page.text(f"Predicted with {predict_options}.")
    page.findings({"grade": "warning", "message": note} for note in result.get("warnings", ()))
    _add_baselines(page, result, main)
    _add_attacks(page, result)
    lines = [_metric_line(metric, score) for metric, score in result["metrics"].items()]
    if not any(line[_SCALE] for line in lines):
        lines = [{name: line[name] for name in line if name != _SCALE} for line in lines]
    page.table(lines[:LONG_TABLE])
    page.table(lines[LONG_TABLE:], folded=f"{len(lines) - LONG_TABLE} more metrics")
    for title, table in details.get("tables", {}).items():
        page.heading(title, level=3)
        page.table(table)
    if details.get("per_class"):
        table, folded = details["per_class"], ""
        if len(table) > LONG_TABLE:
            table = sorted(table, key=lambda line: (line.get("f1") or {"value": 0})["value"])
            folded = f"All {len(table)} classes, weakest first"
        page.heading("Each class", level=3)
        page.table(table, folded=folded)
    if details.get("confusion"):
        page.heading("Confusion matrix", level=3)
        _add_confusion(page, details["confusion"], details.get("labels", ()))
    if details.get("calibration"):
        page.heading("Calibration", level=3)
        page.figure(
            calibration_chart(details["calibration"]),
            caption="On the dashed line, accuracy equals confidence; below it, the model is"
            " overconfident.",
        )
    if result.get("pictures"):
        page.heading("Pictures", level=3)
        for picture in result["pictures"]:
            if (png := read_figure(folder, picture["file"])) is not None:
                page.picture(png, caption=picture["caption"])
    if result.get("worst"):
        page.heading("The worst predictions", level=3)
        page.text("The lowest scores, most confident predictions first.", note=True)
        page.table(result["worst"])


def _add_attacks(page: Page, result: Mapping[str, Any]) -> None:
    """What membership-inference attacks on the run, and on another, came to."""
    found = result.get("privacy")
    if not found:
        return
    page.heading("Attack on the training rows", level=3)
    page.text(
        f"{found['attack']}: {found['members']:,} training rows against {found['others']}."
        " An AUC of 0.5 means that nothing leaks."
    )
    page.table(
        [
            {
                "run": each.get("run", "this one"),
                "epsilon": each.get("epsilon", "not private"),
                "AUC": each["auc"]["value"],
                "95% interval": f"{each['auc']['low']:.4f} to {each['auc']['high']:.4f}",
                "found at 1% false": each["true_positives_at_1_percent_false"],
                "mean loss of members": each["mean_loss"]["members"],
                "of others": each["mean_loss"]["others"],
            }
            for each in (found, found.get("against"))
            if each
        ]
    )


def _add_baselines(page: Page, result: Mapping[str, Any], main: str) -> None:
    """The main score of the model and of the baselines, with the paired differences."""
    described = describe_baselines(main, result)
    if not described:
        return
    page.text(described)
    page.table(
        [
            {
                "baseline": each["name"],
                main.replace("_", " "): round(each["value"], 4),
                "gain of the model per row": each["gain"],
            }
            for each in result["baselines"]
        ]
    )


def _metric_line(metric: str, score: Mapping[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {"metric": metric.replace("_", " "), "score": score}
    # Losses are unbounded, so a position between 0 and 1 would mislead.
    value, low, high = score["value"], score.get("low"), score.get("high")
    if low is None or high is None or not 0 <= low <= high <= 1 or "loss" in metric:
        return line | {_SCALE: ""}
    return line | {_SCALE: interval_bar(value, low, high)}


def _add_confusion(
    page: Page, confusion: Mapping[str, Mapping[str, int]], labels: Sequence[str]
) -> None:
    if len(labels) > LARGEST_HEAT_MAP:
        _add_mistakes(page, confusion)
        return
    rows = [*labels, *(name for name in confusion if name not in labels)]
    counts = [[confusion.get(row, {}).get(column, 0) for column in labels] for row in rows]
    if len(labels) <= LARGEST_MATRIX:
        page.confusion(rows, labels, counts)
        return
    shares, titles = [], []
    for row, line in zip(labels, counts, strict=False):
        total = sum(line) or 1
        shares.append([count / total for count in line])
        titles.append(
            [f"{row} predicted as {label}: {n}" for label, n in zip(labels, line, strict=True)]
        )
    page.figure(
        heat_map(shares, titles),
        caption="One row per class, one column per prediction, both in the order of the"
        " labels; hover for names.",
    )
    _add_mistakes(page, confusion)


def _add_mistakes(page: Page, confusion: Mapping[str, Mapping[str, int]]) -> None:
    mistakes: list[dict[str, Any]] = [
        {"true": row, "predicted": column, "rows": count}
        for row, line in confusion.items()
        for column, count in line.items()
        if row != column
    ]
    mistakes.sort(key=lambda item: -item["rows"])
    page.table(mistakes[:WORST_CONFUSIONS], caption="most frequent confusions")
