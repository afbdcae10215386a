"""Does a search across models beat the defaults of each of them, on rows that it did not see?

    python bench/tune_models.py CLINC150 SST2 ML1M OUT [--minutes 15] [--only NAME]

CLINC150: train.jsonl (text, intent). SST2: train.tsv (text TAB label). ML1M: sequences.txt, a line
of items for each user. For each: `tune --models ... --minutes M`, and `finetune` with each model's
defaults, all on the same prepared data; then `evaluate` on the test rows, which chose nothing, and
the paired difference of `compare`. Small data: 3,000 texts, 1,500 users.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aitk

SPLIT = "60/20/20"
TEXTS, USERS = 3000, 1500
MODELS = {
    "clinc150": ["bag", "cnn", "rnn"],
    "sst2": ["bag", "cnn", "rnn"],
    "ml1m": ["ease", "item-knn", "user-knn", "als", "bpr"],
}


def clinc150(folder: Path, out: Path) -> aitk.Data:
    """The first rows of every class: 3,000 of 7,500."""
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    step = len(rows) // TEXTS
    return _classify(((row["text"], row["intent"]) for row in rows[::step][:TEXTS]), out)


def sst2(folder: Path, out: Path) -> aitk.Data:
    """3,000 of the 6,920 training sentences."""
    lines = (folder / "train.tsv").read_text(encoding="utf-8").splitlines()
    pairs = (line.rpartition("\t")[::2] for line in lines)
    rows = [(text, label) for text, label in pairs if label in ("0", "1")]
    return _classify(iter(rows[:: len(rows) // TEXTS][:TEXTS]), out)


def ml1m(folder: Path, out: Path) -> aitk.Data:
    """The sequences of 1,500 users; times are places in them."""
    lines = (folder / "sequences.txt").read_text(encoding="utf-8").splitlines()
    path = out.with_suffix(".csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "time"])
        for user, line in enumerate(lines[::4][:USERS]):
            writer.writerows((user, item, time) for time, item in enumerate(line.split()))
    return aitk.prepare(path, task="recsys.recommend", out=out, overwrite=True)


def _classify(rows: Iterator[tuple[str, str]], out: Path) -> aitk.Data:
    path = out.with_suffix(".csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return aitk.prepare(path, task="nlp.classify", out=out, split=SPLIT, overwrite=True)


def measure(name: str, data: aitk.Data, out: Path, *, minutes: float) -> dict[str, Any]:
    """Test scores of the search and of each model's defaults, with the paired differences."""
    models = MODELS[name]
    tuned = aitk.tune(
        data, out=out / f"{name}-tuned", models=models, minutes=minutes, overwrite=True
    )
    runs = [tuned]
    for model in models:
        runs.append(aitk.finetune(data, out=out / f"{name}-{model}", model=model, overwrite=True))
    for run in runs:
        run.evaluate()
    metric = run.manifest["main_metric"]
    compared = aitk.compare(runs).facts["comparisons"]
    return {
        "data": name,
        "trials": len(tuned.outcome.table),
        "chosen": tuned.model_name,
        "parameters": tuned.outcome.facts["parameters"],
        "validation": tuned.outcome.facts[metric],
        "test": tuned.metrics["test"]["metrics"][metric],
        "defaults": [
            {
                "model": model,
                "test": run.metrics["test"]["metrics"][metric]["value"],
                # of the defaults minus the search: below 0, the search is better
                "difference": [line[key] for key in ("difference", "low", "high")],
                "p_value": line["p_value"],
                "by": line["test"],
            }
            for model, run, line in zip(models, runs[1:], compared, strict=True)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clinc150", type=Path)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("ml1m", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--only", choices=MODELS)
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    for name, prepare in (("clinc150", clinc150), ("sst2", sst2), ("ml1m", ml1m)):
        if told.only in (None, name):
            data = prepare(getattr(told, name), told.out / name)
            found = measure(name, data, told.out, minutes=told.minutes)
            (told.out / f"{name}.json").write_text(json.dumps(found, indent=2))
            print(json.dumps(found, indent=2), flush=True)


if __name__ == "__main__":
    main()
