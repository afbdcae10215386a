"""Checks and statistics of the images and annotations of a data set.

A single pass stores each image's name, hashes and a few numbers, and small copies of the first
images, so memory does not hold the images themselves.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError
from aitk.core.contract.rows import SPLITS, Row
from aitk.core.contract.score_task import ScoreStatistics
from aitk.core.contract.task import Finding
from aitk.core.io.images import image_format
from aitk.core.metrics.class_checks import (
    count_finding,
    find_imbalance,
    find_label_typos,
    find_labels_per_row,
    find_rare_classes,
    find_several_labels,
    find_single_class,
    find_unseen_labels,
    known_labels,
)
from aitk.vision.data.options import ImageReading
from aitk.vision.data.quality.box_quality import BoxStatistics
from aitk.vision.data.quality.duplicates import (
    EXAMPLES,
    find_conflicts,
    find_duplicates,
    find_leakage,
    find_near_duplicates,
    group_files,
)
from aitk.vision.data.quality.mask_quality import MaskStatistics
from aitk.vision.data.quality.near_duplicates import SmallCopies, image_hash
from aitk.vision.data.quality.sheets import Sheets
from aitk.vision.data.quality.statistics import ClassCounts, Names, describe, histogram
from aitk.vision.data.reading_counts import ReadingCounts

#: Grey-level spread below which an image is blank.
MIN_CONTRAST = 2.0
_SIZES = 10
#: Side length in pixels to which images are reduced for inspection.
_LOOKED_AT = 64
_COUNTED = {"label": "training rows", "boxes": "boxes in training", "mask": "pixels in training"}
_KINDS = tuple(_COUNTED)


class ImageInspector:
    """Inspects every accepted row once; see ``aitk.core.contract.task.Inspector``.

    Args:
        annotation_kinds: kinds in the rows: ``label``, ``boxes``, ``mask``, or ``score``.
        counts: omissions during reading.
    """

    def __init__(
        self,
        reading: ImageReading,
        *,
        annotation_kinds: Collection[str],
        counts: ReadingCounts | None = None,
    ):
        del reading  # images arrive in stored form
        self._counts = counts or ReadingCounts()
        self._annotation_kinds = frozenset(annotation_kinds)
        self._names = Names()
        self._splits = array("B")
        self._digests, self._hashes = array("q"), bytearray()
        self._copies = SmallCopies()
        self._heights, self._widths = array("I"), array("I")
        self._brightness, self._contrast = array("f"), array("f")
        self._formats: Counter[str] = Counter()
        self._labels = ClassCounts()
        self._label_numbers = array("i")
        self._label_sets: dict[tuple[str, ...], int] = {}
        self._labels_per_row = array("I")
        self._scores = ScoreStatistics() if "score" in self._annotation_kinds else None
        self._boxes = BoxStatistics()
        self._masks = MaskStatistics()
        self._sheets = Sheets(annotation_kinds=annotation_kinds)

    def add(self, row: Row, split: str) -> None:
        fields = row.fields
        grey = _small_grey(fields["image"], fields["height"], fields["width"])
        digest = hashlib.blake2b(fields["image"], digest_size=8).digest()
        self._names.append(fields["name"])
        self._splits.append(SPLITS.index(split))
        self._digests.append(int.from_bytes(digest, "big", signed=True))
        self._hashes += image_hash(grey).tobytes()
        self._copies.add(grey)
        self._heights.append(fields["height"])
        self._widths.append(fields["width"])
        self._brightness.append(float(grey.mean()))
        self._contrast.append(float(grey.std()))
        self._formats[image_format(fields["image"]) or ""] += 1
        if "labels" in fields:
            for label in fields["labels"]:
                self._labels.add(split, label)
            own = tuple(sorted(fields["labels"]))
            self._label_numbers.append(self._label_sets.setdefault(own, len(self._label_sets)))
            self._labels_per_row.append(len(own))
        elif "label" in self._annotation_kinds:
            number = self._labels.add(split, fields["label"]) if fields["label"] else -1
            self._label_numbers.append(number)
        if self._scores is not None:
            self._scores.add(fields["score"], split)
        if "boxes" in self._annotation_kinds and fields.get("boxes_known", 1):
            self._boxes.add(fields, split)
        if "mask" in self._annotation_kinds and fields["mask"]:
            self._masks.add(fields["mask"], split)
        self._sheets.add(fields, split)

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault."""
        groups, splits = group_files(np.array(self._digests)), np.array(self._splits)
        flat = np.array(self._contrast) < MIN_CONTRAST
        found = [
            find_duplicates(groups, splits, self._names),
            find_leakage(groups, splits, self._names),
            find_near_duplicates(
                groups,
                splits,
                self._names,
                hashes=np.frombuffer(bytes(self._hashes), np.uint8).reshape(-1, 16),
                copies=self._copies,
                shows=np.flatnonzero(~flat),
            ),
            self._find_flat(np.flatnonzero(flat)),
            *self._counts.findings(),
        ]
        balanced = (
            "boxes" not in self._annotation_kinds
        )  # images with several boxes have no single class
        for kind in self._kinds():
            counts = self._counts_of(kind)
            train = counts["train"]
            if kind == "label":
                found.append(find_conflicts(groups, np.array(self._label_numbers), self._names))
            if kind != "boxes":
                found.append(find_single_class(train, at_least=1 if self._label_sets else 2))
            found.append(find_label_typos(set().union(*counts.values())))
            if self._label_sets:
                found.append(find_labels_per_row(self._labels_per_row, len(self._label_sets)))
            else:
                found.append(find_several_labels(set().union(*counts.values())))
            if kind == "boxes":  # crowd boxes are not trained on
                train = self._boxes.objects.table()["train"]
                if not any(train.values()):
                    found.append(Finding("boxes", "error", "no training image has a box"))
            found += [
                find_rare_classes(train, what=_COUNTED[kind]),
                find_unseen_labels(counts),
                find_imbalance(
                    {name: count for name, count in train.items() if count},
                    what=_COUNTED[kind],
                    balanced=balanced,
                ),
            ]
        if "boxes" in self._annotation_kinds:
            found += self._boxes.findings()
        if "mask" in self._annotation_kinds:
            found += self._masks.findings()
        return found

    def summary(self) -> dict[str, Any]:
        """JSON statistics and charts of sizes, formats, brightness, classes, boxes and masks.

        ``pictures`` are contact sheets of the first images with annotations, and of augmented
        images.
        """
        splits = np.array(self._splits)
        rows = np.bincount(splits, minlength=len(SPLITS))
        present = [split for split, count in zip(SPLITS, rows, strict=True) if count]
        sizes = Counter(zip(self._widths, self._heights, strict=True)).most_common(_SIZES)
        summary: dict[str, Any] = {
            "rows": {split: int(rows[SPLITS.index(split)]) for split in present},
            "formats": dict(self._formats.most_common()),
            "sizes": {f"{width} x {height}": count for (width, height), count in sizes},
            "measured": {
                "width": describe(self._widths),
                "height": describe(self._heights),
                "brightness": describe(self._brightness),
                "contrast": describe(self._contrast),
            },
            "charts": {
                "brightness_of_an_image": histogram(self._brightness),
                "contrast_of_an_image": histogram(self._contrast),
            },
        }
        labels = {kind: self._labels_of(kind) for kind in _KINDS if kind in self._annotation_kinds}
        counts = {
            kind: {split: self._counts_of(kind)[split] for split in present} for kind in labels
        }
        if self._scores is not None:
            summary |= self._scores.summary()
        if self._counts.category_ids:
            summary["category_ids"] = dict(self._counts.category_ids)
        if "boxes" in self._annotation_kinds:
            summary["measured"] |= self._boxes.described()
            summary["charts"] |= self._boxes.charts()
        if "mask" in self._annotation_kinds:
            summary |= self._masks.summary()
        if labels:
            main = next((kind for kind in labels if labels[kind]), next(iter(labels)))
            summary["labels"], summary["label_counts"] = labels[main], counts[main]
        if len(labels) > 1:
            summary["label_sets"], summary["label_set_counts"] = labels, counts
        summary["pictures"] = self._sheets.draw({kind: self._shown_labels(kind) for kind in labels})
        return summary

    def _kinds(self) -> list[str]:
        """The annotation kinds present."""
        if len(self._annotation_kinds) == 1:
            return [kind for kind in _KINDS if kind in self._annotation_kinds]
        return [kind for kind in _KINDS if kind in self._annotation_kinds and self._labels_of(kind)]

    def _labels_of(self, kind: str) -> list[str]:
        """The classes of a kind: for masks all by number, else those of training rows (of all rows
        if there are none), sorted."""
        if kind == "mask":
            return self._masks.names()
        return known_labels(self._counts_of(kind))

    def _shown_labels(self, kind: str) -> list[str]:
        """The same classes, followed by those only in held-out rows."""
        known = self._labels_of(kind)
        return known + sorted(set().union(*self._counts_of(kind).values()) - set(known))

    def _counts_of(self, kind: str) -> dict[str, dict[str, int]]:
        """Split -> class -> rows, boxes or pixels."""
        if kind == "label":
            return self._labels.table()
        return self._boxes.counts.table() if kind == "boxes" else self._masks.pixels()

    def _find_flat(self, flat: np.ndarray) -> Finding:
        return count_finding(
            "blank images",
            len(flat),
            len(self._splits),
            "images of a single colour, such as all black",
            examples=[self._names[row] for row in flat[:EXAMPLES].tolist()],
        )


def _small_grey(data: bytes, height: int, width: int) -> np.ndarray:
    """A large image in grey at a half, a quarter or an eighth of its size.

    JPEG files are decoded at the reduced size, which is several times faster.
    """
    import cv2

    flags = {
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    }
    shorter = min(height, width)
    flag = next((f for n, f in flags.items() if shorter >= n * _LOOKED_AT), cv2.IMREAD_GRAYSCALE)
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if grey is None:
        raise ArtifactError("a stored image is damaged", hint="Prepare the data again")
    return grey
