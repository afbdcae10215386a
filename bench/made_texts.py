"""Many labelled texts, made of the sentences of a smaller set, to measure speed and memory with.

    python bench/made_texts.py SST2_FOLDER/train.tsv OUT.csv --rows 300000

The source has a text, TAB and label a line. A row is two sentences of the same label: their words
and lengths are real ones, and with 6,920 sentences hardly a row comes twice. 300,000 rows are
63 MB.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=300_000)
    given = parser.parse_args()
    by_label: dict[str, list[str]] = defaultdict(list)
    for line in given.source.read_text(encoding="utf-8").splitlines():
        text, _, label = line.rpartition("\t")
        by_label[label].append(text)
    labels = sorted(by_label)
    draw = random.Random(0)
    with given.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(given.rows):
            label = draw.choice(labels)
            first, second = draw.choices(by_label[label], k=2)
            writer.writerow([f"{first}. {second}", label])


if __name__ == "__main__":
    main()
