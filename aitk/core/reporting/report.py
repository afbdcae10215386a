"""The content of the reports on prepared data, runs and explanations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from aitk.core.artifacts.run import read_figure
from aitk.core.metrics.baselines import describe_baselines
from aitk.core.metrics.statistics import describe_intervals
from aitk.core.reporting.card import TABLES, describe_origin, describe_predict_options, describe_use
from aitk.core.reporting.charts import (
    calibration_chart,
    column_chart,
    heat_map,
    interval_bar,
    line_chart,
    number,
)
from aitk.core.reporting.importance import global_importance, heat_chart, mean_heat
from aitk.core.reporting.numbers import format_number
from aitk.core.reporting.page import Page

LONG_TABLE = 12  # rows; longer tables are folded
_SCALE = "from 0 to 1"  # column of drawn intervals
LARGEST_MATRIX = 24  # maximum classes of a confusion matrix shown as numbers
LARGEST_HEAT_MAP = 500  # maximum classes; the number of cells grows quadratically
WORST_CONFUSIONS = 15


def prepare_report(
    dataset: Mapping[str, Any], path: Path, *, pictures: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write the report of prepared data from its ``dataset.json``.

    Args:
        pictures: images of its rows, ``caption`` and ``png`` of each.
    """
    rows = dataset["rows"]
    page = Page(f"Data for {dataset['task']}", _sources_line(dataset))
    page.headline(
        [(split, number(count), "rows") for split, count in rows.items()]
        + [("refused", number(dataset["refused"]), "see rejects.jsonl")]
    )
    page.heading("Findings")
    page.findings(dataset["findings"])
    page.heading("The rows")
    _add_pictures(page, pictures)
    _add_summary(page, dataset["summary"])
    page.heading("How it was made")
    for note in dataset["notes"]:
        page.text(note)
    page.facts(
        {
            "splits": dataset["split_rule"],
            "options": dataset["options"],
            "reading": dataset["reading"],
            "fingerprint": dataset["fingerprint"],
            "seconds": dataset["wall_s"],
            "packages": dataset["packages"],
        }
    )
    page.table(dataset["sources"], folded=f"Sources ({len(dataset['sources'])})")
    page.write(path)


def waiting_share(history: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of training time spent waiting for data."""
    shares = [row["waiting"] for row in history if row.get("waiting") not in (None, "")]
    return sum(float(share) for share in shares) / len(shares) if shares else None


def run_report(
    manifest: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    path: Path,
) -> None:
    """Write the report of a run.

    Args:
        manifest: ``run.json``.
        history: one mapping per epoch: epoch, step, loss, learning_rate, validation metrics.
        metrics: ``metrics.json``: evaluations by name.
        path: output path, inside the run's folder.
    """
    name = path.parent.name.removesuffix(".part")
    page = Page(name, f"{manifest['task']}, {manifest['model']}, {describe_origin(manifest)}")
    main = manifest.get("main_metric", "")
    page.headline(_headline(manifest, metrics, main))
    page.heading("How to use it")
    page.code("\n".join(describe_use(manifest, name)))
    for evaluation, result in metrics.items():
        _add_evaluation(page, evaluation, result, main=main, folder=path.parent)
    if compression := manifest.get("compression"):
        page.heading("Before and after")
        page.table(compression["table"])
        page.facts({name: value for name, value in compression.items() if name not in TABLES})
        if tried := compression.get("tried"):
            page.text(f"Number formats, tried in this order on {compression['chosen_on']}:")
            page.table(tried)
    if updates := manifest.get("updates"):
        page.heading("Updates")
        page.table([_update_line(update) for update in updates])
    if private := manifest.get("privacy"):
        page.heading("Privacy")
        page.facts(private)
    if history:
        _add_history(page, history, main)
    _add_making(page, manifest)
    page.write(path)


def explanations_report(
    explanations: Iterable[Mapping[str, Any]],
    path: Path,
    *,
    run: str,
    facts: Mapping[str, Any],
    names: Sequence[str] = (),
) -> None:
    """Write a page of explained rows with coloured words.

    Args:
        explanations: each has ``parts`` (text and weight, in order) or ``pictures`` (caption and
            svg or png), and facts of its prediction; ``between`` separates the parts if they are
            not running text; ``nearest`` and ``counterfactual`` where they were computed.
        path: output path.
        run: the explained run, as given by the user.
        facts: figures about all of them.
        names: what each row is called: its file and line.
    """
    page = Page("What contributed to the predictions", run)
    explanations = list(explanations)
    page.facts(facts)
    if any(explanation.get("parts") for explanation in explanations):
        page.text(
            "Blue parts support the prediction, orange ones oppose it; the stronger the colour, the"
            " more its score changes without that part. Hover over a part for the figure."
        )
        page.scale("opposes the prediction", "supports it")
    if any(explanation.get("heat") for explanation in explanations):
        page.text(
            "Each picture is shown as it is, and under a map of heat. The bar at its right is the"
            " scale: from dark, no importance, to light, the most in this picture."
        )
    _add_importance(page, explanations)
    page.heading("Each row")
    page.begin_grid(wide=not all(explanation.get("pictures") for explanation in explanations))
    for place, explanation in enumerate(explanations):
        described = {
            name.replace("_", " "): _told(name, value)
            for name, value in explanation.items()
            if isinstance(value, str | int | float) and name != "between"
        }
        title = ", ".join(f"{name}: {value}" for name, value in described.items())
        page.begin_card(names[place] if place < len(names) else f"row {place + 1}")
        page.words(title, explanation.get("parts", ()), between=explanation.get("between", ""))
        _add_pictures(page, explanation.get("pictures", ()))
        if found := explanation.get("counterfactual"):
            words = " ".join(found["without"])
            page.text(f"Without \u201c{words}\u201d it predicts {found['prediction']}.", note=True)
        page.table(explanation.get("nearest", ()), caption="nearest training rows")
        page.end_card()
    page.end_grid()
    page.write(path)


def _add_importance(page: Page, explanations: Sequence[Mapping[str, Any]]) -> None:
    """What contributes over all rows, where there are several."""
    parts, heat = global_importance(explanations), mean_heat(explanations)
    if len(explanations) < 2 or not (parts or heat is not None):
        return
    page.heading("Over all rows")
    if parts:
        folded = f"Parts that contribute most ({len(parts)})" if len(parts) > LONG_TABLE else ""
        page.table(parts, folded=folded)
    if heat is not None:
        page.figure(heat_chart(heat), caption="Where the model looks on average.")


def _told(name: str, value: Any) -> Any:
    if name == "probability":
        return f"{value:.1%}"
    return format_number(value) if isinstance(value, float) else value


def _add_pictures(page: Page, pictures: Iterable[Mapping[str, Any]]) -> None:
    for picture in pictures:
        if "svg" in picture:
            page.figure(Markup(picture["svg"]), caption=picture["caption"])
        else:
            page.picture(picture["png"], caption=picture["caption"])


def _update_line(update: Mapping[str, Any]) -> dict[str, Any]:
    """One update: number of new rows, and the held-out scores before and after."""
    line = {"rows of": ", ".join(update["inputs"]), "new": update["rows"]}
    line["replayed"] = update["replayed"]
    for rows, score in update["before"].items():
        line[f"{rows} rows before"] = score
        line[f"{rows} rows after"] = update["after"].get(rows)
    return line


def _sources_line(dataset: Mapping[str, Any]) -> str:
    names = [item["source"] for item in dataset["sources"]]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _add_summary(page: Page, summary: Mapping[str, Any]) -> None:
    """Display a task's statistics by their structure alone."""
    page.facts(
        {
            name: value
            for name, value in summary.items()
            if isinstance(value, str | int | float | bool)
        }
    )
    for name, value in summary.items():
        title = name.replace("_", " ")
        if name == "charts" or not isinstance(value, Mapping) or not value:
            continue
        if all(isinstance(item, Mapping) for item in value.values()):
            lines: dict[Any, None] = dict.fromkeys(key for item in value.values() for key in item)
            table = [
                {title: str(key)} | {part: item.get(key) for part, item in value.items()}
                for key in lines
            ]
            folded = f"{title} ({len(table)})" if len(table) > LONG_TABLE else ""
            page.table(table, folded=folded)
        elif all(isinstance(item, int | float) for item in value.values()):
            page.bars(dict(list(value.items())[:40]), caption=title)
        else:
            page.facts({name: value})
    for name, chart in summary.get("charts", {}).items():
        x, y = chart["x"], chart["y"]
        caption = name.replace("_", " ")
        if not len(x):
            continue
        if any(isinstance(item, str) for item in x):
            page.bars(dict(zip(x, y, strict=True)), caption=caption)
        else:
            page.figure(column_chart(x, y, x_label=caption), caption=caption)


def _headline(
    manifest: Mapping[str, Any], metrics: Mapping[str, Any], main: str
) -> list[tuple[str, str, str]]:
    figures = []
    for name, result in metrics.items():
        score = result["metrics"].get(main)
        if score:
            known = None not in (score.get("low"), score.get("high"))
            between = f"[{score['low']:.3f}, {score['high']:.3f}] " if known else ""
            figures.append(
                (
                    f"{main.replace('_', ' ')}, {name}",
                    f"{score['value']:.4f}",
                    f"{between}{result['rows']:,} rows",
                )
            )
    if manifest.get("parameters"):
        figures.append(("parameters", number(manifest["parameters"]), manifest["format"]))
    if manifest.get("wall_s"):
        figures.append(("made in", _duration(manifest["wall_s"]), "wall clock"))
    return figures


def _add_evaluation(
    page: Page, name: str, result: Mapping[str, Any], *, main: str, folder: Path
) -> None:
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


def _add_history(page: Page, history: Sequence[Mapping[str, Any]], main: str) -> None:
    page.heading("Training")
    if len(history) > 1:
        losses = {"training loss": "loss"} | {
            f"validation {key.replace('_', ' ')}": key
            for key in history[0]
            if key.endswith("_loss")
        }
        for chart in (losses, {f"validation {main.replace('_', ' ')}": main}):
            series = {
                name: [(float(row["epoch"]), float(row[key])) for row in history]
                for name, key in chart.items()
                if all(row.get(key) not in (None, "") for row in history)
            }
            if series:
                page.figure(line_chart(series, x_label="epoch"), caption=", ".join(series))
    if (share := waiting_share(history)) is not None:
        page.text(f"{share:.1%} of the time was spent waiting for data.", note=True)
    page.table(history, folded=f"Every epoch ({len(history)})")


def _add_making(page: Page, manifest: Mapping[str, Any]) -> None:
    page.heading("How it was made")
    data = manifest.get("data", {})
    page.facts(
        {
            "command": manifest.get("command"),
            "data": data.get("folder"),
            "data fingerprint": data.get("fingerprint"),
            "rows": data.get("rows"),
            "parent": manifest.get("parent"),
            "weights from": manifest.get("source"),
            "stopped early": manifest.get("stopped"),
            "settings": manifest.get("settings"),
            "options": manifest.get("options"),
            "reading": data.get("reading"),
            "seed": manifest.get("seed"),
            "CPU time": _duration(manifest["cpu_s"]) if manifest.get("cpu_s") else None,
            "peak memory, MB": manifest.get("peak_memory_mb"),
            "packages": manifest.get("packages"),
        }
    )
    for line in manifest.get("load_report", ()):
        page.text(str(line), note=True)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
