"""The model card of a run: what it is, how to use it, its scores and its limits.

After Mitchell et al. 2019, "Model Cards for Model Reporting", from the information in a run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from aitk.core.artifacts.run_layout import EXECUTABLE
from aitk.core.metrics.baselines import describe_baselines
from aitk.core.metrics.statistics import describe_intervals

#: The tables recorded by ``compress``.
TABLES = ("table", "tried")
#: Of a private training.
UNCOVERED = (
    "Not covered: labels, vocabulary and other assets that are learned from the rows, their number,"
    " the scores of baselines, and the validation rows, which chose the epoch. A person with"
    " several rows is protected less."
)
FEW_ROWS = 200  # with fewer scored rows, intervals are wide


def model_card(
    manifest: Mapping[str, Any], metrics: Mapping[str, Any], *, name: str = "RUN"
) -> str:
    """Write the card as Markdown.

    Args:
        manifest: ``run.json``.
        metrics: ``metrics.json``: evaluations by name.
        name: the run's folder, as used in commands.
    """
    sections = [
        [f"# {_inline(name)}", _what_it_is(manifest)],
        ["## How to use it", "```", *describe_use(manifest, name), "```"],
        ["## Scores", *_scores(metrics, manifest.get("main_metric", ""))],
        *([["## Before and after", *_compression(manifest)]] if "compression" in manifest else []),
        *([["## The model file", *_signature(manifest)]] if "signature" in manifest else []),
        *(
            [["## Privacy", *_privacy(manifest, metrics)]]
            if _has_privacy(manifest, metrics)
            else []
        ),
        ["## Data", *_data(manifest)],
        ["## How it was made", *_making(manifest)],
        ["## Limits", *_limits(manifest, metrics)],
        ["## Licence", *_licence(manifest)],
    ]
    return "\n\n".join("\n".join(map(_one_line, lines)) for lines in sections) + "\n"


def describe_use(manifest: Mapping[str, Any], folder: str) -> list[str]:
    """The commands for using a run."""
    domain = manifest["task"].partition(".")[0]
    name = shlex.quote(folder)
    trust = " --trust" if manifest["format"] in EXECUTABLE else ""
    commands = [
        f"aitk {domain} predict {name} INPUT --out predictions.jsonl{trust}",
        f"aitk {domain} evaluate {name}{trust}",
    ]
    if manifest["format"] == "keras":
        small = shlex.quote(f"{folder}-int8")
        commands.append(f"aitk {domain} compress {name} --quantize int8 --out {small}")
    return commands


def describe_origin(manifest: Mapping[str, Any]) -> str:
    """The origin of the weights, in words."""
    if manifest.get("parent"):
        return f"made from the run {manifest['parent']}"
    if manifest.get("source"):
        return f"started from the pretrained weights {manifest['source']}"
    return "trained from scratch"


def describe_predict_options(result: Mapping[str, Any]) -> str:
    """The predict options of an evaluation in words; "" if all are defaults."""
    parts = []
    for name, value in (result.get("predict_options") or {}).items():
        written = ", ".join(map(str, value)) if isinstance(value, list) else value
        parts.append(name.replace("_", " ") + ("" if value is True else f" {written}"))
    return "; ".join(parts)


def _has_privacy(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    return "privacy" in manifest or any("privacy" in result for result in metrics.values())


def _privacy(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """The guarantee of a private training and what it does not cover, and measured attacks."""
    lines = []
    if private := manifest.get("privacy"):
        guarantee = f"({private['epsilon']:.4g}, {private['delta']:g})-differentially private"
        steps = (
            f"{private['steps']:,} steps, each of which takes a row with probability"
            f" {private['sampling_rate']:.4g}; clipping norm {private['clip_norm']:g}, noise"
            f" multiplier {private['noise_multiplier']:.4g}"
        )
        accountant = (
            f"Accountant: {_inline(private['accountant'])}; Renyi divergences (Mironov et al."
            f" 2019) give {private['epsilon_rdp']:.4g}"
        )
        how = f"{_inline(private['mechanism'])}, {_inline(private['unit'])}"
        lines = [
            f"Its weights are {guarantee}: {how}.",
            "",
            f"- {steps}",
            f"- {accountant}",
            f"- {UNCOVERED}",
        ]
        if private.get("void"):
            lines.append(f"- No longer holds: {_inline(private['void'])}")
    for name, result in metrics.items():
        if found := result.get("privacy"):
            for each in (found, found.get("against")):
                if each:
                    auc = each["auc"]
                    whose = f" of {_code(each['run'])}" if "run" in each else ""
                    between = f"{auc['low']:.4f} to {auc['high']:.4f}"
                    lines.append(
                        f"- Attack{whose}, {_inline(each['attack'])}: AUC {auc['value']:.4f}"
                        f" ({between}; 0.5 where nothing leaks), {each['members']:,} training rows"
                        f" against {_inline(each['others'])}, in the evaluation {_code(name)}"
                    )
    return lines


def _compression(manifest: Mapping[str, Any]) -> list[str]:
    """The results of ``compress`` and its table of attempts."""
    compression = manifest["compression"]
    facts = {name: value for name, value in compression.items() if name not in TABLES}
    lines = _table(compression["table"])
    lines += [
        "",
        *(
            f"- {_inline(name.replace('_', ' '))}: {_inline(value)}"
            for name, value in facts.items()
        ),
    ]
    if tried := compression.get("tried"):
        chosen_on = _inline(compression.get("chosen_on"))
        lines += ["", f"Number formats, tried in this order on {chosen_on}:", "", *_table(tried)]
    return lines


def _signature(manifest: Mapping[str, Any]) -> list[str]:
    """What the file reads and gives, for whoever runs it without aitk."""
    signature = manifest["signature"]
    lines: list[str] = []
    for side in ("inputs", "outputs"):
        lines += [f"{side.capitalize()}:", "", *_table(signature[side]), ""]
    if labels := signature.get("classes"):
        lines.append(f"The last axis of the output has a logit for each class: {_listed(labels)}.")
    return lines if lines[-1] else lines[:-1]


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(rows[0]) if rows else []
    return [
        f"| {' | '.join(_inline(name.replace('_', ' ')) for name in names)} |",
        "|" + "---|" * len(names),
        *(f"| {' | '.join(_cell(row.get(name)) for name in names)} |" for row in rows),
    ]


def _cell(value: Any) -> str:
    return "" if value is None else _inline(value)


def _what_it_is(manifest: Mapping[str, Any]) -> str:
    size = f" with {manifest['parameters']:,} parameters" if manifest.get("parameters") else ""
    labels = manifest["data"].get("labels") or []
    predicts = f" It predicts one of {len(labels)} labels." if labels else ""
    return (
        f"A {_code(manifest['model'])} model{size} for the task {_code(manifest['task'])},"
        f" {_inline(describe_origin(manifest))}, stored as {manifest['format']}.{predicts}"
    )


def _scores(metrics: Mapping[str, Any], main: str) -> list[str]:
    if not metrics:
        return ["It has not been evaluated yet."]
    lines = []
    for name, result in metrics.items():
        intervals = describe_intervals(result["metrics"].values())
        written = f"; {_inline(intervals)}" if intervals else ""
        lines += [f"On {_code(name)}, {result['rows']:,} rows{written}:", ""]
        if predict_options := describe_predict_options(result):
            lines += [f"Predicted with {_inline(predict_options)}.", ""]
        lines += ["| metric | value | 95% interval |", "|---|---|---|"]
        for metric, score in result["metrics"].items():
            known = None not in (score.get("low"), score.get("high"))
            between = f"{score['low']:.4f} to {score['high']:.4f}" if known else ""
            lines.append(
                f"| {_inline(metric.replace('_', ' '))} | {score['value']:.4f} | {between} |"
            )
        if compared := describe_baselines(main, result):
            lines += ["", f"Compared: {_inline(compared)}."]
        lines += ["", *(f"Note: {_inline(warning)}." for warning in result.get("warnings", ()))]
    return lines[:-1] if lines[-1] == "" else lines


def _data(manifest: Mapping[str, Any]) -> list[str]:
    data = manifest["data"]
    rows = ", ".join(f"{count:,} {split}" for split, count in data.get("rows", {}).items())
    labels = data.get("labels") or []
    folder = PurePath(data.get("folder") or "?").name
    lines = [
        f"- Folder: {_code(folder)}, fingerprint {_code(data.get('fingerprint'))}",
        f"- Rows: {_inline(rows or 'not recorded')}",
    ]
    if labels:
        lines.append(f"- Labels: {_listed(labels)}")
    changed = {key: value for key, value in data.get("reading", {}).items() if value}
    if changed:
        lines.append("- Reading and cleaning: " + _pairs(changed))
    return lines


def _making(manifest: Mapping[str, Any]) -> list[str]:
    cost = [
        f"{manifest[key]:,.0f} {unit}"
        for key, unit in (
            ("wall_s", "s wall clock"),
            ("cpu_s", "s CPU time"),
            ("peak_memory_mb", "MB peak memory"),
            ("energy_j", "J of the whole processor"),
        )
        if manifest.get(key)
    ]
    lines = [
        f"- Command: {_code(manifest['command'])}" if manifest.get("command") else "",
        f"- Weights: {_inline(describe_origin(manifest))}",
        f"- Settings: {_pairs(manifest['settings'])}" if manifest["settings"] else "",
        f"- Options: {_pairs(manifest.get('options', {}))}",
        f"- Seed: {manifest.get('seed')}",
        f"- Cost: {', '.join(cost)}" if cost else "",
        f"- Versions: {_pairs(manifest.get('packages', {}))}",
    ]
    return [line for line in lines if line]


def _limits(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    lines = [
        "- Intended for inputs like its training rows; the scores above do not apply to others.",
        "- Not examined for bias between groups of people, nor for adversarial robustness.",
    ]
    if manifest["data"].get("labels"):
        lines.append("- It always predicts one of its labels, even if none of them fits.")
    judged = [name for name in metrics if name.endswith("test")]
    if not judged:
        lines.append(
            "- It has no score on a test split: scores on the validation rows, which selected its"
            " best epoch, are slightly optimistic."
        )
    few = min((metrics[name]["rows"] for name in metrics), default=FEW_ROWS)
    if few < FEW_ROWS:
        lines.append(f"- It was scored on only {few} rows, so its scores are imprecise.")
    return lines


def _licence(manifest: Mapping[str, Any]) -> list[str]:
    if manifest.get("licence"):
        return [_inline(manifest["licence"])]
    source = manifest.get("source") or manifest.get("parent")
    of_weights = f", and of the weights it started from ({_code(source)})" if source else ""
    return [
        f"Not recorded. It depends on that of the training data{of_weights}.",
        "Check it before distributing the model.",
    ]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(_inline(f"{key} {value}") for key, value in values.items())


def _listed(labels: Sequence[str], most: int = 30) -> str:
    shown = ", ".join(map(_code, labels[:most]))
    return shown + (f" and {len(labels) - most} more" if len(labels) > most else "")


def _code(value: Any) -> str:
    """A name displayed verbatim in Markdown, including its backticks."""
    text = _one_line(str(value))
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"


def _inline(value: Any) -> str:
    """Text without Markdown or HTML syntax; underscores inside words are harmless."""
    return re.sub(r"([\\`*\[\]<>|~]|&(?=[#\w]))", r"\\\1", _one_line(str(value)))


def _one_line(text: str) -> str:
    """Text without line breaks and directional control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", " ", text)
