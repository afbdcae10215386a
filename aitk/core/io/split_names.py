"""The split that the name of a file or folder tells."""

from __future__ import annotations

import re

SPLIT_OF_WORD = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}


def split_named(name: str) -> str | None:
    """The split that a whole word of a file's or folder's name tells: ``my_test.csv``."""
    words = re.findall(r"[^\W\d_]+", name.lower())
    found = {SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD}
    return found.pop() if len(found) == 1 else None
