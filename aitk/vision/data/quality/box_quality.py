"""Box statistics and checks: counts by class, sizes, and faults."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from aitk.core.contract.task import Finding, Grade
from aitk.core.metrics.class_checks import count_finding
from aitk.vision.data.quality.statistics import ClassCounts, describe, histogram

#: A box with a side below this many pixels shows too little to recognise.
SMALL_SIDE = 8.0
#: Warn if this share of all boxes, or of a class's boxes, are crowd regions.
CROWD_SHARE, CROWD_SHARE_OF_CLASS = 0.2, 0.5


class BoxStatistics:
    """Counts of boxes by class, and their sizes.

    Attributes:
        counts: boxes per class.
        objects: boxes per class without crowd regions; may be 0.
    """

    def __init__(self) -> None:
        self.counts, self.objects = ClassCounts(), ClassCounts()
        self._each_image = array("I")
        self._sides, self._shares, self._aspects = array("f"), array("f"), array("f")
        self._repeated = 0
        self._furthest = 0.0

    def add(self, fields: Mapping[str, Any], split: str) -> None:
        """Count the annotated boxes of a row: ``boxes`` (n, 4) in pixels."""
        boxes, labels = np.asarray(fields["boxes"]), fields["box_labels"]
        self._each_image.append(len(boxes))
        for label, crowd in zip(labels, fields["crowd"], strict=True):
            self.counts.add(split, label)
            self.objects.add(split, label, int(not crowd))
        if not len(boxes):
            return
        distinct = {(label, *box) for label, box in zip(labels, boxes.tolist(), strict=True)}
        self._repeated += len(boxes) - len(distinct)
        self._furthest = max(self._furthest, float(boxes.max()))
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        self._sides.extend(np.minimum(width, height).tolist())
        self._shares.extend(np.sqrt(width * height / (fields["width"] * fields["height"])).tolist())
        self._aspects.extend((width / height).tolist())

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault."""
        small = int((np.array(self._sides) < SMALL_SIDE).sum())
        empty = sum(1 for count in self._each_image if not count)
        return [
            *self._find_shares(),
            self._find_crowds(),
            count_finding("small boxes", small, len(self._sides),
                  f"boxes with a side under {SMALL_SIDE:g} pixels"),
            count_finding("repeated boxes", self._repeated, len(self._sides),
                  "boxes identical to another of the same image and class"),
            Finding("images without boxes", "ok", f"{empty:,} images have no box",
                    {"rows": empty, "share": round(empty / max(len(self._each_image), 1), 6)}),
        ]  # fmt: skip

    def _find_shares(self) -> list[Finding]:
        """Find boxes in relative coordinates, which would all fall into one pixel."""
        if not self._sides or self._furthest > 1.0:
            return []
        message = "every box is inside the first pixel: are the coordinates relative, not pixels?"
        return [Finding("box units", "error", message)]

    def _find_crowds(self) -> Finding:
        """Count crowd boxes: a class with crowd boxes alone is never predicted."""
        total = _totals(self.counts)
        crowds = {label: total[label] - kept for label, kept in _totals(self.objects).items()}
        crowds = {label: count for label, count in crowds.items() if count}
        count = sum(crowds.values())
        if not count:
            return Finding("crowd regions", "ok", "no box is a crowd region", {"boxes": 0})
        mostly = [name for name, found in crowds.items()
                  if found >= CROWD_SHARE_OF_CLASS * total[name]]  # fmt: skip
        share = count / sum(total.values())
        message = (
            f"{count:,} boxes ({share:.1%}) are crowd regions (iscrowd) or difficult objects,"
            " which are neither trained on nor scored"
        )
        if mostly:
            message += f"; most of {', '.join(mostly)} are"
        grade: Grade = "warning" if mostly or share >= CROWD_SHARE else "ok"
        message += ": --crowd objects trains on them" if grade == "warning" else ""
        return Finding("crowd regions", grade, message, {"boxes": count, "labels": crowds})

    def described(self) -> dict[str, Any]:
        """Statistics of boxes per image, sides, sizes and aspect ratios."""
        return {
            "boxes_of_an_image": describe(self._each_image),
            "shorter_side_of_a_box_px": describe(self._sides),
            "box_size_share_of_image": describe(self._shares),
            "box_width_to_height": describe(self._aspects),
        }

    def charts(self) -> dict[str, Any]:
        """Histograms of the same values."""
        return {
            "boxes_of_an_image": histogram(self._each_image),
            "box_size_as_a_share_of_the_image": histogram(self._shares),
        }


def _totals(counts: ClassCounts) -> dict[str, int]:
    """Class -> count in all splits."""
    found: Counter[str] = Counter()
    for split in counts.table().values():
        found.update(split)
    return dict(found)
