"""Writes the folder of a bundle: model, script, settings, requirements, README."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.compression.signatures import Signature, read_signature
from aitk.core.edge.joining import join_modules
from aitk.core.edge.parts import BundleParts

SCRIPT, SETTINGS, TABLES = "predict.py", "settings.json", "tables.npz"
#: Run format -> the module that opens its file, and the package it needs.
ENGINES = {
    "litert": ("aitk.core.edge.litert", "ai-edge-litert"),
    "onnx": ("aitk.core.edge.onnx", "onnxruntime"),
}
#: The README lists the main metric and the following ones.
MOST_METRICS = 4
_TAIL = '''
def load(threads: int = 1) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The function that predicts one row, for other programs."""
    folder = Path(__file__).resolve().parent
    return open_bundle(folder, open_model, encode, decode, threads=threads)


if __name__ == "__main__":
    main(open_model, read_rows, encode, decode)
'''


def write_bundle(
    folder: Path,
    model: Path,
    parts: BundleParts,
    *,
    format: str,
    name: str,
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> dict[str, int]:
    """Fill a folder with all that prediction needs.

    Args:
        model: the LiteRT or ONNX file.
        name: name of the bundle.
        manifest: the run's ``run.json``.
        metrics: content of its ``metrics.json``.

    Returns:
        The size of each file in bytes.
    """
    module, package = ENGINES[format]
    shutil.copyfile(model, folder / model.name)
    modules = (module, *parts.modules, "aitk.core.edge.program")
    title = f"Predict with a {manifest['model']} model of {manifest['task']}; made by aitk."
    script = join_modules(modules, docstring=title, tail=_TAIL)
    (folder / SCRIPT).write_text(script, encoding="utf-8")
    settings = {"model": model.name, "task": manifest["task"], **parts.settings}
    text = json.dumps(settings, ensure_ascii=False, indent=None, separators=(",", ":"))
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
    if parts.tables:
        np.savez_compressed(folder / TABLES, **parts.tables)  # type: ignore[arg-type]
    (folder / "requirements.txt").write_text(requirements(package), encoding="utf-8")
    signature = read_signature(model, format=format)
    readme = _readme(name, parts, package, manifest, metrics, signature)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return {
        path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.name[0] != "."
    }


def requirements(package: str) -> str:
    """Three lines: the packages of the script, at least in the versions it was created with."""
    lines = ["# Python 3.10 or later"]
    lines += [f"{name}>={importlib.metadata.version(name)}" for name in ("numpy", package)]
    return "\n".join(lines) + "\n"


def _readme(
    name: str,
    parts: BundleParts,
    package: str,
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
    signature: Signature | None,
) -> str:
    lines = [
        f"# {name}",
        "",
        f"A `{manifest['model']}` model for `{manifest['task']}`, with all that prediction needs.",
        "It needs neither aitk nor TensorFlow.",
        "",
        "```",
        "pip install -r requirements.txt",
        f"python {SCRIPT} {parts.example} --out predictions.jsonl",
        "```",
        "",
        f"It reads {parts.reads}, and writes one JSON object per line, like `aitk predict`.",
        "`--threads N` uses more cores, `--time` prints the time per row. In a program:",
        "",
        "```python",
        "from predict import load",
        "predict = load()",
        "predict(row)  # the fields of a row, as yielded by read_rows",
        "```",
        "",
        "| file | contents |",
        "|---|---|",
        f"| `{SCRIPT}` | reading, pre- and postprocessing |",
        f"| `{SETTINGS}`{f', `{TABLES}`' if parts.tables else ''} | labels and other values |",
        "| `model.*` | the model |",
        "",
    ]
    for optional, use in parts.optional.items():
        lines += [f"`pip install {optional}` allows it to {use}.", ""]
    if signature is not None:
        lines += ["## The model file", ""]
        for side in ("inputs", "outputs"):
            lines += [f"| {side} | shape | type |", "|---|---|---|"]
            lines += [
                f"| `{each['name']}` | {each['shape']} | {each['dtype']} |"
                for each in signature.as_json()[side]
            ]
            lines.append("")
    lines += _scores(metrics)
    return "\n".join(lines)


def _scores(metrics: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for split, result in metrics.items():
        lines += [f"## Scores on {split}, {result['rows']:,} rows", ""]
        lines += ["| metric | value | 95% interval |", "|---|---|---|"]
        for metric, score in list(result["metrics"].items())[:MOST_METRICS]:
            known = None not in (score.get("low"), score.get("high"))
            between = f"{score['low']:.4f} to {score['high']:.4f}" if known else ""
            lines.append(f"| {metric.replace('_', ' ')} | {score['value']:.4f} | {between} |")
        lines.append("")
    return lines
