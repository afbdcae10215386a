"""Found boxes as the list of results that COCO's evaluation reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, ClassVar

COLUMNS = ["image_id", "category_id", "category_name", "bbox", "score"]


class CocoResults:
    """One JSON list; each box names its picture, and its place as x, y, width, height.

    ``image_id`` is the number that the picture's name consists of, as in COCO, else its name;
    ``category_id`` counts the model's classes from 1.
    """

    needs_columns: ClassVar[bool] = False

    def __init__(self) -> None:
        self.columns: list[str] = []  # empty until a box is written
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """The boxes of some more pictures; those that were refused have none."""
        parts = []
        for row in rows:
            for box in row.get("boxes", ()):
                parts.append((",\n" if self.columns else "[\n") + json.dumps(_result(row, box)))
                self.columns = COLUMNS
        return "".join(parts)

    def tail(self) -> str:
        """The end of the list."""
        return "\n]\n" if self.columns else "[]\n"


def _result(row: Mapping[str, Any], box: Mapping[str, Any]) -> dict[str, Any]:
    name = str(row.get("picture", ""))
    stem = PurePath(name).stem
    left, top, right, bottom = box["box"]
    return {
        "image_id": int(stem) if stem.isascii() and stem.isdigit() else name,
        "category_id": box["number"],
        "category_name": box["label"],
        "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
        "score": box["score"],
    }
