"""Does masked-LM pretraining help where there are 10 labelled rows a class?

    python bench/few_rows.py CLINC150_FOLDER SST2_FOLDER OUT [--seeds 5] [--epochs 10]

An encoder of size tiny is pretrained on the training texts of CLINC150 and SST-2 without their
labels. For each seed 10 rows of every intent are drawn from CLINC150's training rows; the same
transformer learns them from scratch and from the pretrained weights, with the same options. Both
are scored on the validation file, of which neither has seen anything. Printed: both accuracies of
each seed, and the mean difference with its 95% interval over seeds (Student's t).
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

import aitk

ROWS_A_CLASS = 10
#: Few rows need many passes; the same for both.
TRAINING = {"epochs": 60, "learning_rate": 1e-3, "patience": 60}
SETTINGS = {"size": "tiny", "max_length": 48}


def read_rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_rows(path: Path, rows: Iterable[Mapping[str, str]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def draw(rows: list[dict[str, str]], seed: int) -> list[dict[str, str]]:
    """So many rows of each intent."""
    by_intent = defaultdict(list)
    for row in rows:
        by_intent[row["intent"]].append(row)
    drawn = random.Random(seed)
    return [row for each in by_intent.values() for row in drawn.sample(each, ROWS_A_CLASS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("clinc", type=Path)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="of pretraining")
    given = parser.parse_args()
    clinc = read_rows(next(given.clinc.glob("*train*.jsonl")))
    tested = next(given.clinc.glob("*val*.jsonl"))
    sst2 = next(given.sst2.glob("*train*")).read_text(encoding="utf-8").splitlines()
    texts = [row["text"] for row in clinc] + [line.rpartition("\t")[0] for line in sst2]
    source = write_rows(given.out / "texts.jsonl", ({"text": text} for text in texts if text))
    base = given.out / "pretrained"
    if not base.exists():
        data = aitk.prepare(source, task="nlp.masked-lm", out=given.out / "texts")
        aitk.pretrain(data, out=base, epochs=given.epochs, settings=SETTINGS)
    gains = []
    for seed in range(given.seeds):
        folder = given.out / f"seed{seed}"
        rows = write_rows(folder / "train.jsonl", draw(clinc, seed))
        data = aitk.prepare(
            rows, task="nlp.classify", out=folder / "data", label_column="intent", split="80/20/0",
            overwrite=True,
        )  # fmt: skip
        found = {}
        for name, start in (("scratch", None), ("pretrained", str(base))):
            more = {"from_": start} if start else {"settings": SETTINGS}
            run = aitk.finetune(
                data, out=folder / name, model="transformer", seed=seed, overwrite=True,
                **TRAINING, **more,
            )  # fmt: skip
            result = run.evaluate(str(tested), resamples=0)
            found[name] = result.facts["metrics"]["accuracy"]["value"]
        gains.append(found["pretrained"] - found["scratch"])
        print(json.dumps({"seed": seed, **found}), flush=True)
    if len(gains) > 1:
        from scipy import stats

        half = stats.t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / len(gains) ** 0.5
        mean = float(np.mean(gains))
        print(json.dumps({"gain": mean, "low": mean - half, "high": mean + half}))


if __name__ == "__main__":
    main()
