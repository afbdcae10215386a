"""The content of the reports on prepared data, runs and explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.reporting.card import TABLES, describe_origin, describe_use
from aitk.core.reporting.charts import (
    column_chart,
    line_chart,
    number,
)
from aitk.core.reporting.evaluation import add_evaluation
from aitk.core.reporting.page import Page

LONG_TABLE = 12  # rows; longer tables are folded


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
    page.pictures(pictures)
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
        add_evaluation(page, evaluation, result, main=main, folder=path.parent)
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
