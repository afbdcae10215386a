"""Predicted boxes in COCO's results format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, ClassVar

from aitk.core.io.values import parse_json, to_count

COLUMNS = ["image_id", "category_id", "category_name", "bbox", "score"]


class CocoResults:
    """One JSON list; each box has its image id and its x, y, width, height.

    ``image_id`` and ``category_id`` come from the COCO file that lists the image. Without such a
    file, ``image_id`` is the image's name, as a number if it is numeric as in COCO, and
    ``category_id`` is the class number of the model.

    Args:
        category_ids: returns class -> id from the COCO files read so far.
    """

    needs_columns: ClassVar[bool] = False

    def __init__(self, category_ids: Callable[[], Mapping[str, int | str]] = dict) -> None:
        self._category_ids = category_ids
        self.columns: list[str] = []  # empty until a box is written
        self.left_out: set[str] = set()

    def format(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Format the boxes of more images; refused images have none."""
        parts = []
        for row in rows:
            for box in row.get("boxes", ()):
                parts.append(
                    (",\n" if self.columns else "[\n") + json.dumps(self._result(row, box))
                )
                self.columns = COLUMNS
        return "".join(parts)

    def reading_facts(self) -> Mapping[str, Any]:
        """The ids of the classes; see ``NeedsReading``."""
        return {"category_ids": dict(self._category_ids())}

    def set_reading_facts(self, facts: Mapping[str, Any]) -> None:
        """Use the ids that another process has read."""
        ids = dict(facts["category_ids"])
        self._category_ids = lambda: ids

    def tail(self) -> str:
        """The end of the list."""
        return "\n]\n" if self.columns else "[]\n"

    def recognises(self, head: str, names: Sequence[str]) -> bool:
        """Whether the list is empty or starts with a result with these columns in this order."""
        del names
        first = head.removeprefix("[\n").partition("\n")[0].removesuffix(",")
        try:
            return head == "[]\n" or list(parse_json(first)) == COLUMNS
        except (ValueError, TypeError):
            return False

    def _result(self, row: Mapping[str, Any], box: Mapping[str, Any]) -> dict[str, Any]:
        left, top, right, bottom = box["box"]
        return {
            "image_id": row["image_id"] if "image_id" in row else _id_of_name(row),
            "category_id": self._category_id(box),
            "category_name": box["label"],
            "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
            "score": box["score"],
        }

    def _category_id(self, box: Mapping[str, Any]) -> int | str:
        """The id of a box's class; an unused id if the COCO file lacks the class."""
        ids = self._category_ids()
        if box["label"] in ids:
            return ids[box["label"]]
        numbers = [number for number in ids.values() if isinstance(number, int)]
        if numbers and isinstance(box["number"], int):
            return max(numbers) + box["number"]
        return box["number"]


def _id_of_name(row: Mapping[str, Any]) -> int | str:
    name = str(row.get("image", ""))
    number = to_count(PurePath(name).stem)
    return name if number is None else number
