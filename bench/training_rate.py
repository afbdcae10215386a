"""Rows a second of a run's training with its validation, without the start of the process.

python bench/training_rate.py RUN
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path


def main(run: Path) -> None:
    manifest = json.loads((run / "run.json").read_text(encoding="utf-8"))
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        *_, last = csv.DictReader(file)
    rows = manifest["data"]["rows"]["train"] * int(last["epoch"])
    print(f"{rows / float(last['seconds']):,.0f} rows/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
