"""Print what was heard or typed, its intent and the answer, side by side.

python show.py REQUESTS INTENTS.jsonl ANSWERS.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def lines(path: str) -> list[str]:
    """The predictions of a file, or its lines."""
    text = Path(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["prediction"] for line in text] if path.endswith("l") else text


if __name__ == "__main__":
    for request, intent, answer in zip(*map(lines, sys.argv[1:4]), strict=True):
        sys.stdout.write(f"{request}\n    {intent}: {answer}\n")
