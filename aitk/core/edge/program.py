"""The command of a bundle, and its Python function. Part of the scripts of bundles."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: Opens a model file with a number of threads.
Opener = Callable[[Path, int], Callable[[Mapping[str, np.ndarray]], Any]]


def open_bundle(
    folder: Path,
    open_model: Opener,
    encode: Callable[..., Any],
    decode: Callable[..., Any],
    *,
    threads: int = 1,
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The function from a row's fields to its prediction."""
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    tables: dict[str, np.ndarray] = {}
    if (folder / "tables.npz").exists():
        with np.load(folder / "tables.npz", allow_pickle=False) as file:
            tables = dict(file)
    run = open_model(folder / settings["model"], threads)

    def predict(fields: Mapping[str, Any]) -> dict[str, Any]:
        outputs = run(encode(fields, settings, tables))
        return decode(outputs, fields, settings, tables)

    return predict


def predict_file(
    predict: Callable[[Mapping[str, Any]], dict[str, Any]],
    rows: Iterable[tuple[int, Mapping[str, Any], Any]],
    out: Any,
) -> list[float]:
    """Write one line of JSON per row; return the seconds per prediction.

    Args:
        rows: line number, original record, and fields of each row or the reason why it has none.

    """
    seconds = []
    for line, record, fields in rows:
        try:
            if isinstance(fields, str):
                raise ValueError(fields)
            started = time.perf_counter()
            found = predict(fields)
            seconds.append(time.perf_counter() - started)
        except ValueError as error:
            out.write(json.dumps({"line": line, "error": str(error)}, ensure_ascii=False) + "\n")
            continue
        merged = dict(record)
        for name, value in found.items():  # keep the input's own columns
            merged[name if name not in record else f"predicted_{name}"] = value
        out.write(json.dumps(merged, ensure_ascii=False) + "\n")
    return seconds


def main(
    open_model: Opener,
    read_rows: Callable[..., Iterable[tuple[int, Mapping[str, Any], Any]]],
    encode: Callable[..., Any],
    decode: Callable[..., Any],
) -> None:
    """Predict the rows of files, and write one JSON object per line."""
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").strip())
    parser.add_argument("inputs", nargs="+", help="files with rows, see README.md")
    parser.add_argument("--out", help="output file of JSON lines (default: standard output)")
    parser.add_argument("--threads", type=int, default=1, help="number of threads of the model")
    parser.add_argument("--time", action="store_true", help="print the milliseconds per row")
    options = parser.parse_args()
    folder = Path(__file__).resolve().parent
    predict = open_bundle(folder, open_model, encode, decode, threads=options.threads)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    out = open(options.out, "w", encoding="utf-8") if options.out else sys.stdout  # noqa: SIM115
    seconds = []
    for name in options.inputs:
        try:
            seconds += predict_file(predict, read_rows(name, settings), out)
        except (OSError, ValueError) as error:
            raise SystemExit(f"{name}: {error}") from error
    out.flush()
    if options.time and seconds:
        taken_ms = np.array(seconds) * 1e3
        median, slow = np.percentile(taken_ms, [50, 95])
        sys.stderr.write(f"{len(seconds)} rows, median {median:.3f} ms, p95 {slow:.3f} ms\n")
