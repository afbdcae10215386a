"""Compare two ways to train by the characters that several runs of each get wrong.

Runs differ by the numbers they start from: those of one way are added up row by row, so that the
interval is over rows, of all runs together.

    python bench/paired_cer.py --one scratch-0 scratch-1 --other pretrained-0 pretrained-1
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from aitk.core.metrics.statistics import resample_counts
from aitk.speech.metrics.wer import characters, count_errors

RESAMPLES = 10_000


def read_errors(run: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The keys of a run's test rows, and the characters wrong and the characters of each."""
    with open(run / "evaluations" / "test.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    references = [characters(row["fields"]["text"]) for row in rows]
    wrong = [
        count_errors(reference, characters(row["prediction"]["text"])).total
        for reference, row in zip(references, rows, strict=True)
    ]
    return [row["key"] for row in rows], np.array(wrong), np.array([len(r) for r in references])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--one", type=Path, nargs="+", required=True, metavar="RUN")
    parser.add_argument("--other", type=Path, nargs="+", required=True, metavar="RUN")
    args = parser.parse_args()
    sides = {
        name: [read_errors(run) for run in runs]
        for name, runs in (("one", args.one), ("other", args.other))
    }
    keys, _, lengths = sides["one"][0]
    if any(each[0] != keys for side in sides.values() for each in side):
        raise SystemExit("the runs were not tested on the same rows")
    for name, runs in sides.items():
        rates = [wrong.sum() / lengths.sum() for _, wrong, _ in runs]
        print(f"{name}: {', '.join(f'{rate:.3f}' for rate in rates)}; mean {np.mean(rates):.4f}")
    one, other = (np.mean([wrong for _, wrong, _ in runs], axis=0) for runs in sides.values())
    change = other - one
    drawn = np.concatenate(
        [
            (counts @ change) / (counts @ lengths)
            for counts in resample_counts(len(keys), resamples=RESAMPLES, seed=0)
        ]
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    print(f"change {change.sum() / lengths.sum():+.4f} [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    main()
