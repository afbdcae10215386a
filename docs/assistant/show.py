"""Print what was heard or typed, its intent and the answer.

python show.py INTENTS.jsonl ANSWERS.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def rows(path: str) -> list[dict[str, str]]:
    """The rows of a file of predictions."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    for intent, answer in zip(*map(rows, sys.argv[1:3]), strict=True):
        said = f"{intent['text']}\n    {intent['prediction']}: {answer['prediction']}"
        sys.stdout.write(f"{said}\n")
