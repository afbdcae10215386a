"""What is wrong with the pictures and annotations of a data set, and what they look like.

One pass, in memory that does not hold the pictures: of each its name, its hashes and a few
numbers are kept, and small copies of the first ones.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from aitk.core.class_checks import (
    CONFLICT_SHARE,
    HELD_OUT_SHARE,
    find_imbalance,
    find_label_typos,
    find_rare_classes,
    find_single_class,
    find_unseen_labels,
    judge,
)
from aitk.core.pictures import picture_format
from aitk.core.rows import SPLITS, Row
from aitk.core.task import Finding
from aitk.vision.geometry import VOID
from aitk.vision.masks import decode_mask, mask_names
from aitk.vision.near_duplicates import find_pairs, picture_hash
from aitk.vision.options import PictureReading
from aitk.vision.sheets import Sheets

#: A picture whose grey levels spread less than this shows nothing.
LEAST_CONTRAST = 2.0
#: Held-out pictures that look like one of another split make an error from this share on: the
#: frames of a video, say, whose splits are not apart.
NEAR_SHARE = 0.05
#: A box whose side is under so many pixels shows too little of a thing to tell what it is.
SMALL_SIDE = 8.0
#: A mask with more void than this teaches little.
MUCH_VOID = 0.5
_EXAMPLES, _BARS, _SIZES = 10, 30, 10
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
#: Pictures are looked at when they are about this large.
_LOOKED_AT = 64
_COUNTED = {"label": "training rows", "boxes": "boxes in training", "mask": "pixels in training"}
_KINDS = tuple(_COUNTED)


class PictureInspector:
    """Looks at every accepted row once; see ``aitk.core.task.Inspector``.

    Args:
        wants: what the rows have, of ``label``, ``boxes`` and ``mask``.
    """

    def __init__(self, reading: PictureReading, *, wants: Collection[str]):
        del reading  # pictures arrive as they are stored
        self._wants = frozenset(wants)
        self._names = _Names()
        self._splits = array("B")
        self._digests, self._hashes = array("q"), bytearray()
        self._heights, self._widths = array("I"), array("I")
        self._brightness, self._contrast = array("f"), array("f")
        self._formats: Counter[str] = Counter()
        self._labels = _Counts()
        self._label_numbers = array("i")
        self._boxes = _BoxStatistics()
        self._masks = _MaskStatistics()
        self._sheets = Sheets(wants=wants)

    def add(self, row: Row, split: str) -> None:
        fields = row.fields
        grey = _small_grey(fields["picture"], fields["height"], fields["width"])
        digest = hashlib.blake2b(fields["picture"], digest_size=8).digest()
        self._names.append(fields["name"])
        self._splits.append(SPLITS.index(split))
        self._digests.append(int.from_bytes(digest, "big", signed=True))
        self._hashes += picture_hash(grey).tobytes()
        self._heights.append(fields["height"])
        self._widths.append(fields["width"])
        self._brightness.append(float(grey.mean()))
        self._contrast.append(float(grey.std()))
        self._formats[picture_format(fields["picture"]) or ""] += 1
        if "label" in self._wants:
            number = self._labels.add(split, fields["label"]) if fields["label"] else -1
            self._label_numbers.append(number)
        if "boxes" in self._wants and fields.get("boxes_known", 1):
            self._boxes.add(fields, split)
        if "mask" in self._wants and fields["mask"]:
            self._masks.add(fields["mask"], split)
        self._sheets.add(fields, split)

    def findings(self) -> list[Finding]:
        """Every check made, those that found no fault too."""
        _, first, same = np.unique(np.array(self._digests), return_index=True, return_inverse=True)
        groups, splits = first[same], np.array(self._splits)
        found = [
            self._find_duplicates(groups, splits),
            self._find_leakage(groups, splits),
            self._find_near_duplicates(groups, splits),
            self._find_flat(),
        ]
        balanced = "boxes" not in self._wants  # pictures of several boxes have no class to weigh
        for kind in self._kinds():
            counts = self._counts_of(kind)
            train = counts["train"]
            if kind == "label":
                found.append(self._find_conflicts(groups))
            if kind != "boxes":
                found.append(find_single_class(train))
            elif not train:
                found.append(Finding("boxes", "error", "no training picture has a box"))
            found += [
                find_label_typos(set().union(*counts.values())),
                find_rare_classes(train, what=_COUNTED[kind]),
                find_unseen_labels(counts),
                find_imbalance(train, what=_COUNTED[kind], balanced=balanced),
            ]
        if "boxes" in self._wants:
            found += self._boxes.findings()
        if "mask" in self._wants:
            found += self._masks.findings()
        return found

    def summary(self) -> dict[str, Any]:
        """Sizes, formats, brightness, classes, boxes and masks, as JSON values and charts.

        ``pictures`` are contact sheets of the first pictures with their annotations, and of
        pictures as training varies them.
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
                "width": _describe(self._widths),
                "height": _describe(self._heights),
                "brightness": _describe(self._brightness),
                "contrast": _describe(self._contrast),
            },
            "charts": {
                "brightness_of_a_picture": _histogram(self._brightness),
                "contrast_of_a_picture": _histogram(self._contrast),
            },
        }
        labels = {kind: self._labels_of(kind) for kind in _KINDS if kind in self._wants}
        counts = {
            kind: {split: self._counts_of(kind)[split] for split in present} for kind in labels
        }
        if "boxes" in self._wants:
            summary["measured"] |= self._boxes.described()
            summary["charts"] |= self._boxes.charts()
        if "mask" in self._wants:
            summary |= self._masks.summary()
        if labels:
            main = next((kind for kind in labels if labels[kind]), next(iter(labels)))
            summary["labels"], summary["label_counts"] = labels[main], counts[main]
        if len(labels) > 1:
            summary["label_sets"], summary["label_set_counts"] = labels, counts
        summary["pictures"] = self._sheets.draw({kind: self._shown_labels(kind) for kind in labels})
        return summary

    def _kinds(self) -> list[str]:
        """The kinds of annotation there are any of."""
        if len(self._wants) == 1:
            return list(self._wants)
        return [kind for kind in _KINDS if kind in self._wants and self._labels_of(kind)]

    def _labels_of(self, kind: str) -> list[str]:
        """The classes of a kind: of masks all in the order of their numbers, else those of
        training rows, sorted."""
        if kind == "mask":
            return self._masks.names()
        return sorted(self._counts_of(kind)["train"])

    def _shown_labels(self, kind: str) -> list[str]:
        """The same, and last those that only held-out rows have."""
        known = self._labels_of(kind)
        return known + sorted(set().union(*self._counts_of(kind).values()) - set(known))

    def _counts_of(self, kind: str) -> dict[str, dict[str, int]]:
        """Split -> class -> rows, boxes or pixels."""
        if kind == "label":
            return self._labels.table()
        return self._boxes.counts.table() if kind == "boxes" else self._masks.pixels()

    def _find_duplicates(self, groups: np.ndarray, splits: np.ndarray) -> Finding:
        _, first = np.unique(groups * len(SPLITS) + splits, return_index=True)
        repeated = np.ones(len(groups), bool)
        repeated[first] = False
        return judge(
            "duplicates",
            int(repeated.sum()),
            len(groups),
            "rows with a file that their split has already",
            examples=self._examples(np.flatnonzero(repeated)),
        )

    def _find_leakage(self, groups: np.ndarray, splits: np.ndarray) -> Finding:
        earlier = np.isin(groups, groups[splits == 0])
        earlier |= (splits == 2) & np.isin(groups, groups[splits == 1])
        leaked = (splits > 0) & earlier
        return judge(
            "duplicates across splits",
            int(leaked.sum()),
            int((splits > 0).sum()),
            "held-out rows with a file that another split has, which flatters scores",
            error_share=HELD_OUT_SHARE,
            examples=self._examples(np.flatnonzero(leaked)),
        )

    def _find_near_duplicates(self, groups: np.ndarray, splits: np.ndarray) -> Finding:
        hashes = np.frombuffer(bytes(self._hashes), np.uint8).reshape(-1, 16)
        shows = np.flatnonzero(np.array(self._contrast) >= LEAST_CONTRAST)
        pairs = shows[find_pairs(hashes[shows], splits[shows])]
        pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]  # the same file is told already
        later = np.where(splits[pairs[:, 0]] > splits[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
        told = [
            f"{self._names[left]} ({SPLITS[splits[left]]}) and {self._names[right]}"
            f" ({SPLITS[splits[right]]})"
            for left, right in pairs[:_EXAMPLES].tolist()
        ]
        return judge(
            "near-duplicates across splits",
            len(np.unique(later)),
            int((splits > 0).sum()),
            "held-out pictures that look like one of another split, which flatters scores",
            error_share=NEAR_SHARE,
            examples=told,
        )

    def _find_conflicts(self, groups: np.ndarray) -> Finding:
        numbers = np.array(self._label_numbers)
        pairs = np.unique(np.stack([groups, numbers])[:, numbers >= 0], axis=1)
        files, labels = np.unique(pairs[0], return_counts=True)
        rows = np.flatnonzero(np.isin(groups, files[labels > 1]))
        rows = rows[np.argsort(groups[rows], kind="stable")]  # side by side
        return judge(
            "conflicting labels",
            len(rows),
            len(groups),
            "rows whose file stands elsewhere with another label",
            error_share=CONFLICT_SHARE,
            examples=self._examples(rows),
        )

    def _find_flat(self) -> Finding:
        flat = np.flatnonzero(np.array(self._contrast) < LEAST_CONTRAST)
        return judge(
            "pictures of nothing",
            len(flat),
            len(self._splits),
            "pictures of one colour, all black perhaps",
            examples=self._examples(flat),
        )

    def _examples(self, rows: np.ndarray) -> list[str]:
        return [self._names[row] for row in rows[:_EXAMPLES].tolist()]


class _Names:
    """Many names in little memory."""

    def __init__(self) -> None:
        self._text, self._ends = bytearray(), array("Q", [0])

    def append(self, name: str) -> None:
        self._text += name.encode("utf-8", errors="replace")
        self._ends.append(len(self._text))

    def __getitem__(self, row: int) -> str:
        return self._text[self._ends[row] : self._ends[row + 1]].decode()


class _Counts:
    """How often each class comes, by split."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._split_counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}

    def add(self, split: str, name: str, count: int = 1) -> int:
        """Count a class, and return its number."""
        self._split_counts[split][name] += count
        return self._numbers.setdefault(name, len(self._numbers))

    def table(self) -> dict[str, dict[str, int]]:
        """Split -> class -> count, in the order of the classes."""
        return {split: dict(sorted(found.items())) for split, found in self._split_counts.items()}


class _BoxStatistics:
    """How many boxes there are, of which class, and how large."""

    def __init__(self) -> None:
        self.counts = _Counts()
        self._each_picture = array("I")
        self._sides, self._shares, self._aspects = array("f"), array("f"), array("f")
        self._crowd = self._repeated = 0

    def add(self, fields: Mapping[str, Any], split: str) -> None:
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
        return {
            "boxes_of_a_picture": _describe(self._each_picture),
            "shorter_side_of_a_box_px": _describe(self._sides),
            "box_size_share_of_picture": _describe(self._shares),
            "box_width_to_height": _describe(self._aspects),
        }

    def charts(self) -> dict[str, Any]:
        return {
            "boxes_of_a_picture": _histogram(self._each_picture),
            "box_size_as_a_share_of_the_picture": _histogram(self._shares),
        }


class _MaskStatistics:
    """Which classes the pixels have."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._named = self._unnamed = 0
        self._pixels = {split: Counter[str]() for split in SPLITS}
        self._pictures: Counter[str] = Counter()
        self._void = array("f")
        self._largest = -1

    def add(self, png: bytes, split: str) -> None:
        mask, names = decode_mask(png), mask_names(png)
        counts = np.bincount(mask.ravel(), minlength=VOID + 1)
        self._void.append(float(counts[VOID] / mask.size))
        present = np.flatnonzero(counts[:VOID]).tolist()
        for name in names:
            self._names.setdefault(name, len(self._names))
        self._named, self._unnamed = self._named + bool(names), self._unnamed + (not names)
        if not names and present:
            self._largest = max(self._largest, present[-1])
        for number in present:
            name = names[number] if names else str(number)
            self._pixels[split][name] += int(counts[number])
            self._pictures[name] += 1

    def names(self) -> list[str]:
        """The classes in the order of their numbers, those of no pixel too."""
        return [*self._names, *(str(n) for n in range(self._largest + 1) if not self._names)]

    def pixels(self) -> dict[str, dict[str, int]]:
        """Split -> class -> pixels, in the order of the classes."""
        return {
            split: {name: found[name] for name in self.names() if found[name]}
            for split, found in self._pixels.items()
        }

    def findings(self) -> list[Finding]:
        void = np.array(self._void)
        names = self.names()
        missing = [name for name in names if not self._pixels["train"][name]]
        message = f"{len(missing)} of {len(names)} mask classes are on no training picture"
        if missing:
            message += f": {', '.join(missing[:_EXAMPLES])}"
        found = [
            judge("void", int((void > MUCH_VOID).sum()), len(void),
                  "masks of which over half is void"),
            Finding("mask classes", "warning" if missing else "ok", message, {"missing": missing}),
        ]  # fmt: skip
        if self._named and self._unnamed:
            message = f"{self._unnamed:,} masks have classes without names, and others have names"
            found.append(Finding("mask names", "error", message))
        return found

    def summary(self) -> dict[str, Any]:
        total = sum(sum(found.values()) for found in self._pixels.values())
        shares = {
            name: round(sum(found[name] for found in self._pixels.values()) / max(total, 1), 6)
            for name in self.names()
        }
        return {
            "mask_shares": shares,
            "mask_pictures": {name: self._pictures[name] for name in self.names()},
            "void_share": round(float(np.mean(self._void)), 6) if self._void else 0.0,
        }


def _small_grey(data: bytes, height: int, width: int) -> np.ndarray:
    """A picture in grey, of a half, a quarter or an eighth of its size where it is large.

    JPEG files are decoded at that size, which is several times faster.
    """
    import cv2

    flags = {
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    }
    shorter = min(height, width)
    flag = next((f for n, f in flags.items() if shorter >= n * _LOOKED_AT), cv2.IMREAD_GRAYSCALE)
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def _describe(values: Sequence[float]) -> dict[str, float]:
    if not len(values):
        return {}
    numbers = np.array(values, np.float64)
    cuts = np.percentile(numbers, _PERCENTILES)
    return {
        "mean": round(float(numbers.mean()), 3),
        **{
            f"p{share}": round(float(cut), 3) for share, cut in zip(_PERCENTILES, cuts, strict=True)
        },
        "most": round(float(numbers.max()), 3),
    }


def _histogram(values: Sequence[float]) -> dict[str, list[float]]:
    """Counts by value; the outermost 1% on either side count as the outermost of the others."""
    if not len(values):
        return {"x": [], "y": []}
    numbers = np.array(values, np.float64)
    low, high = np.percentile(numbers, [1, 99])
    counts, edges = np.histogram(np.clip(numbers, low, high), bins=min(_BARS, len(numbers)))
    return {"x": ((edges[:-1] + edges[1:]) / 2).round(3).tolist(), "y": counts.tolist()}
