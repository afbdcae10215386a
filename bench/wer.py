"""Word error rates of answers that stand beside what was said.

    aitk speech predict RUN test.csv --out answers.jsonl [--lm FILE]
    python bench/wer.py answers.jsonl [MORE.jsonl ...]

The lines hold the manifest's column ``text`` and the answer, which is then called
``predicted_text``. jiwer counts the errors; differences between files are given with paired
bootstrap intervals.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jiwer
import numpy as np

from aitk.core.metrics.statistics import paired_bootstrap


def main(names: list[str]) -> None:
    """Print a line for each file, and how it differs from the first one."""
    first: np.ndarray | None = None
    for name in names:
        lines = [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]
        pairs = [(line["text"], line["predicted_text"]) for line in lines if "error" not in line]
        said, heard = zip(*pairs, strict=True)
        counted = jiwer.process_words(list(said), list(heard))
        told = (
            f"{name}: {len(pairs)} utterances, WER {counted.wer:.4f}"
            f" ({counted.substitutions} S, {counted.deletions} D, {counted.insertions} I),"
            f" CER {jiwer.cer(list(said), list(heard)):.4f}"
        )
        errors = np.array([_errors(*pair) for pair in pairs])
        if first is None:
            first = errors
        else:
            difference = paired_bootstrap(first, errors)
            told += (
                f"; {difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
                " errors an utterance against the first"
            )
        print(told)


def _errors(said: str, heard: str) -> int:
    counted = jiwer.process_words(said, heard)
    return counted.substitutions + counted.deletions + counted.insertions


if __name__ == "__main__":
    main(sys.argv[1:])
