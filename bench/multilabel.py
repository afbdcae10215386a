"""Several labels a row on CLINC150: queries joined in pairs into rows with two intents.

    python bench/multilabel.py CLINC150 OUT [--model bag] [--from WEIGHTS] [--epochs N] [...]

CLINC150: a folder with train.jsonl and val.jsonl (text, intent). Each query is in one row, beside
one of another intent. Four fifths of the training queries train, a fifth chooses the epoch and the
thresholds; the rows of val.jsonl are scored. Further options go to `aitk nlp finetune`.

Prints the micro F1 of these with the tuned thresholds, with one threshold of 0.5 for every class,
and with one tuned threshold for every class, and the paired difference of tuned and 0.5.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.opening import open_assets, open_model, open_task
from aitk.core.artifacts.run import load_run
from aitk.core.inference.prediction import measure_rows
from aitk.core.metrics.multi_label import best_threshold
from aitk.core.metrics.statistics import measure_drop
from aitk.registry import load_task

SEED = 0
VALIDATION_SHARE = 0.2
RESAMPLES = 1000
BATCH = 64


def read_queries(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(row["text"], row["intent"]) for row in map(json.loads, lines)]


def join_pairs(queries: list[tuple[str, str]], rng: np.random.Generator) -> list[tuple[str, str]]:
    """Each query beside the next one of another intent, in random order; a rest is left out."""
    waiting = [queries[index] for index in rng.permutation(len(queries))]
    rows = []
    while waiting:
        text, intent = waiting.pop()
        other = next((at for at, each in enumerate(waiting) if each[1] != intent), None)
        if other is None:
            break
        second, second_intent = waiting.pop(other)
        rows.append((f"{text} and {second}", f"{intent}|{second_intent}"))
    return rows


def write_rows(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "labels"])
        writer.writerows(rows)


def aitk(*arguments: object) -> None:
    command = [sys.executable, "-c", "from aitk.cli.main import main; main()", "nlp"]
    subprocess.run([*command, *map(str, arguments)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clinc150", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", default="bag", help="of the run below OUT")
    own, further = parser.parse_known_args()
    rows, data, run = own.out / "rows", own.out / "data", own.out / own.name
    if not data.is_dir():
        rows.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(SEED)
        queries = read_queries(own.clinc150 / "train.jsonl")
        shuffled = [queries[index] for index in rng.permutation(len(queries))]
        held = round(VALIDATION_SHARE * len(queries))
        write_rows(rows / "train.csv", join_pairs(shuffled[held:], rng))
        write_rows(rows / "validation.csv", join_pairs(shuffled[:held], rng))
        test = read_queries(own.clinc150 / "val.jsonl")
        write_rows(rows / "test.csv", join_pairs(test, rng))
        aitk("prepare", rows, "--task", "classify", "--label-separator", "|", "--out", data)
    if not run.is_dir():
        aitk("finetune", data, "--out", run, *further)
    score(data, run)


def score(data: Path, folder: Path) -> None:
    run = load_run(folder)
    task = open_task(run, load_task)
    assets = open_assets(task, run)
    model = open_model(task, run, assets)
    measured = {
        split: measure_rows(load_data(data).rows(split), task, assets, model, batch_size=BATCH)
        for split in ("validation", "test")
    }
    classes = len(assets.labels)
    chosen = measured["validation"]
    shared = best_threshold(chosen["target"].ravel(), chosen["probabilities"].ravel())
    scored = {
        name: task.score(
            measured["test"], dataclasses.replace(assets, thresholds=limits), resamples=RESAMPLES
        )
        for name, limits in {
            "tuned": assets.thresholds,
            "0.5": (0.5,) * classes,
            f"one for all, {shared:.3f}": (shared,) * classes,
        }.items()
    }
    for name, evaluation in scored.items():
        found = evaluation.metrics
        micro = found["micro_f1"]
        others = ", ".join(
            f"{metric} {found[metric].value:.4f}"
            for metric in ("macro_f1", "sample_f1", "subset_accuracy", "micro_average_precision")
        )
        print(f"{name}: micro_f1 {micro.value:.4f} [{micro.low:.4f}, {micro.high:.4f}], {others}")
    gain = measure_drop(
        scored["tuned"],
        scored["0.5"],
        metric="micro_f1",
        higher_is_better=True,
        resamples=RESAMPLES,
    )
    print(f"tuned above 0.5: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")


if __name__ == "__main__":
    main()
