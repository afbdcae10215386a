"""How many boxes a data set has, of which class and how large, and what is wrong with them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.class_checks import judge
from aitk.core.task import Finding
from aitk.vision.class_counts import Counts
from aitk.vision.spread import describe, histogram

#: A box whose side is under so many pixels shows too little of a thing to tell what it is.
SMALL_SIDE = 8.0


class BoxStatistics:
    """How many boxes there are, of which class, and how large."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._each_picture = array("I")
        self._sides, self._shares, self._aspects = array("f"), array("f"), array("f")
        self._crowd = self._repeated = 0

    def add(self, fields: Mapping[str, Any], split: str) -> None:
        """Count the boxes of a row whose boxes are known: ``boxes`` (n, 4) in pixels."""
        boxes, labels = np.asarray(fields["boxes"]), fields["box_labels"]
        self._each_picture.append(len(boxes))
        self._crowd += sum(fields["crowd"])
        for label in labels:
            self.counts.add(split, label)
        if not len(boxes):
            return
        distinct = {(label, *box) for label, box in zip(labels, boxes.tolist(), strict=True)}
        self._repeated += len(boxes) - len(distinct)
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        self._sides.extend(np.minimum(width, height).tolist())
        self._shares.extend(np.sqrt(width * height / (fields["width"] * fields["height"])).tolist())
        self._aspects.extend((width / height).tolist())

    def findings(self) -> list[Finding]:
        """Every check made, those that found no fault too."""
        small = int((np.array(self._sides) < SMALL_SIDE).sum())
        empty = sum(1 for count in self._each_picture if not count)
        return [
            judge("small boxes", small, len(self._sides),
                  f"boxes with a side under {SMALL_SIDE:g} pixels"),
            judge("repeated boxes", self._repeated, len(self._sides),
                  "boxes that repeat another of their picture and class"),
            Finding("pictures without boxes", "ok", f"{empty:,} pictures have no box",
                    {"rows": empty, "share": round(empty / max(len(self._each_picture), 1), 6)}),
        ]  # fmt: skip

    def described(self) -> dict[str, Any]:
        """How many boxes a picture has, and their sides, sizes and shapes."""
        return {
            "boxes_of_a_picture": describe(self._each_picture),
            "shorter_side_of_a_box_px": describe(self._sides),
            "box_size_share_of_picture": describe(self._shares),
            "box_width_to_height": describe(self._aspects),
        }

    def charts(self) -> dict[str, Any]:
        """Histograms of the same."""
        return {
            "boxes_of_a_picture": histogram(self._each_picture),
            "box_size_as_a_share_of_the_picture": histogram(self._shares),
        }
