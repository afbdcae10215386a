"""The report of a hyperparameter search: models, important parameters, all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.reporting.charts import number
from aitk.core.reporting.page import Page
from aitk.core.reporting.search_charts import (
    Axis,
    history_chart,
    parallel_coordinates,
    shares,
    slice_chart,
)

COMPLETE = "complete"
MOST_AXES = 8  # maximum axes of parallel coordinates, for readability
LEAST_TRIALS = 3  # minimum trials for a model's charts


def tuning_report(tuning: Mapping[str, Any], path: Path, *, name: str) -> None:
    """Write the report of a search.

    Args:
        tuning: ``tuning.json``.
        name: name of the run.
    """
    metric, rows = tuning["metric"].replace("_", " "), tuning["trials"]
    done = [row for row in rows if row["state"] == COMPLETE]
    best = next(row for row in rows if row["trial"] == tuning["best_trial"])
    models = list(dict.fromkeys(row["model"] for row in rows if row["model"]))
    page = Page(f"Search for {name}", f"{tuning['task']}, {', '.join(models)}")
    page.headline(
        [
            (f"best validation {metric}", number(best["value"]), f"trial {best['trial']}"),
            ("model", best["model"], "of the best trial"),
            ("trials", number(len(rows)), _states(rows)),
            ("time", f"{tuning['seconds'] / 60:.1f} min", ""),
        ]
    )
    if len(models) > 1:
        page.heading("Models")
        page.table([_model_line(model, rows, tuning, metric) for model in models])
    page.heading("The search")
    scores = [(row["trial"], row["model"], row["value"]) for row in done]
    chart = history_chart(
        scores, y_label=f"validation {metric}", higher_is_better=tuning["higher_is_better"]
    )
    page.figure(chart, caption="Each trial, and the best so far.")
    if tuning["importances"]:
        page.heading("Parameter importance", level=3)
        page.text(
            "Share of the variation of the score that each parameter accounts for (PED-ANOVA);"
            " imprecise with few trials.",
            note=True,
        )
        page.bars(shares(tuning["importances"]))
    for model in models:
        own = [row for row in done if row["model"] == model]
        if len(own) >= LEAST_TRIALS and own[0]["parameters"]:
            _add_model(page, model, own, tuning, metric)
    page.heading("Every trial")
    page.table([_line(row, metric) for row in rows])
    page.heading("How it was made")
    page.facts(
        {
            "sampler": tuning["sampler"],
            "pruner": tuning["pruner"],
            "searched": {
                model: ", ".join(f"{key} {_range(item)}" for key, item in space.items())
                for model, space in tuning["space"].items()
            },
        }
    )
    page.write(path)


def _add_model(
    page: Page,
    model: str,
    rows: Sequence[Mapping[str, Any]],
    tuning: Mapping[str, Any],
    metric: str,
) -> None:
    """The charts of a model's trials."""
    page.heading(model, level=3)
    scores = [row["value"] for row in rows]
    titles = [f"trial {row['trial']}: {number(row['value'])}" for row in rows]
    space = tuning["space"][model]
    axes = [
        Axis(key.replace("_", " "), [row["parameters"].get(key) for row in rows],
             log=bool(item.get("log")))
        for key, item in space.items()
    ]  # fmt: skip
    importances = tuning["importances"]

    def importance(axis: Axis) -> float:
        key = axis.name.replace(" ", "_")
        return -float(importances.get(key, importances.get(f"{model}.{key}", 0)))

    axes.sort(key=importance)
    lines = [*axes[: MOST_AXES - 1], Axis(f"validation {metric}", scores)]
    page.figure(
        parallel_coordinates(
            lines, scores, titles, higher_is_better=tuning["higher_is_better"]
        ),
        caption="Each line is a trial; the stronger its colour, the better. The best is orange.",
    )  # fmt: skip
    page.figures([slice_chart(axis, scores, titles, y_label=metric) for axis in axes])


def _model_line(
    model: str, rows: Sequence[Mapping[str, Any]], tuning: Mapping[str, Any], metric: str
) -> dict[str, Any]:
    own = [row for row in rows if row["model"] == model]
    done = [row["value"] for row in own if row["state"] == COMPLETE]
    first = own[0]
    seconds = [row["seconds"] for row in own if row.get("seconds")]
    best = None
    if done:
        best = max(done) if tuning["higher_is_better"] else min(done)
    return {
        "model": model,
        "trials": len(own),
        f"{metric} of its defaults": first["value"],
        f"best {metric}": best,
        "seconds of a trial": round(sum(seconds) / len(seconds), 1) if seconds else None,
        "remark": first.get("reason", first.get("stopped") or ""),
    }


def _line(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    parameters = [
        f"{key.replace('_', ' ')} {number(value) if isinstance(value, float) else value}"
        for key, value in row["parameters"].items()
    ]
    remark = row.get("reason") or row.get("stopped") or ""
    if "same_as" in row:
        remark = f"as trial {row['same_as']}"
    return {
        "trial": row["trial"],
        "state": row["state"],
        metric: row["value"],
        "model": row["model"],
        "parameters": ", ".join(parameters) or "the defaults",
        "epochs": row.get("epochs"),
        "seconds": row.get("seconds"),
        "remark": remark,
    }


def _states(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = {state: sum(row["state"] == state for row in rows) for state in ("pruned", "failed")}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _range(item: Mapping[str, Any]) -> str:
    if "values" in item:
        return ",".join(map(str, item["values"]))
    return f"{number(item['low'])}..{number(item['high'])}" + (" (log)" if item["log"] else "")
