"""Mask statistics and checks: pixel classes and faults."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

import numpy as np

from aitk.core.contract.rows import SPLITS
from aitk.core.contract.task import Finding
from aitk.core.metrics.class_checks import count_finding
from aitk.vision.data.formats.masks import decode_mask, mask_names
from aitk.vision.features.geometry import VOID

#: A mask with a larger share of void is hardly worth training on.
MUCH_VOID = 0.5
#: Masks without class names have soft edges if they hold this many classes, up to this number,
#: and nearly all their pixels are black or white.
MANY_LEVELS, HIGH_LEVEL, BLACK_OR_WHITE = 9, 192, 0.8
_EXAMPLES = 10


class MaskStatistics:
    """Pixel counts by class."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._named = self._unnamed = 0
        self._pixels = {split: Counter[str]() for split in SPLITS}
        self._images: Counter[str] = Counter()
        self._void = array("f")
        self._ends = array("f")
        self._largest = -1
        self._black_and_white = self._with_classes = 0

    def add(self, png: bytes, split: str) -> None:
        """Count the pixels of a stored mask."""
        mask, names = decode_mask(png), mask_names(png)
        counts = np.bincount(mask.ravel(), minlength=VOID + 1)
        self._void.append(float(counts[VOID] / mask.size))
        self._ends.append(float((counts[0] + counts[HIGH_LEVEL:].sum()) / mask.size))
        present = np.flatnonzero(counts[:VOID]).tolist()
        has_class = any(number > 0 for number in present)
        self._with_classes += has_class
        self._black_and_white += not has_class and bool(counts[VOID])
        for name in names:
            self._names.setdefault(name, len(self._names))
        self._named, self._unnamed = self._named + bool(names), self._unnamed + (not names)
        if not names and present:
            self._largest = max(self._largest, present[-1])
        for number in present:
            name = names[number] if names else str(number)
            self._pixels[split][name] += int(counts[number])
            self._images[name] += 1

    def names(self) -> list[str]:
        """The classes by number, including those without pixels."""
        return [*self._names, *(str(n) for n in range(self._largest + 1) if not self._names)]

    def pixels(self) -> dict[str, dict[str, int]]:
        """Split -> class -> pixels, in the order of the classes."""
        return {
            split: {name: found[name] for name in self.names() if found[name]}
            for split, found in self._pixels.items()
        }

    def look_binary(self) -> str | None:
        """Why the masks seem to be black and white, or None."""
        if self._black_and_white and not self._with_classes:
            return "all masks hold only 0 and 255 (void)"
        is_grey = self._largest >= HIGH_LEVEL and len(self._images) >= MANY_LEVELS
        if is_grey and not self._named and np.mean(self._ends) >= BLACK_OR_WHITE:
            return f"the masks hold {len(self._images)} grey levels, which indicates soft edges"
        return None

    def findings(self) -> list[Finding]:
        """All checks made, including those without a fault."""
        void = np.array(self._void)
        names = self.names()
        missing = [name for name in names if not self._pixels["train"][name]]
        message = f"{len(missing)} of {len(names)} mask classes occur in no training image"
        if missing:
            message += f": {', '.join(missing[:_EXAMPLES])}"
        found = [
            count_finding("void", int((void > MUCH_VOID).sum()), len(void),
                  "masks that are more than half void"),
            Finding("mask classes", "warning" if missing else "ok", message, {"missing": missing}),
        ]  # fmt: skip
        if self._black_and_white:
            found.append(
                count_finding(
                    "black and white masks",
                    self._black_and_white,
                    len(self._void),
                    "masks hold only 0 and 255 (void); --binary-masks makes 255 a class",
                    error_share=0.5,
                )
            )
        if self._named and self._unnamed:
            message = f"{self._unnamed:,} masks have no class names, while others do"
            found.append(Finding("mask names", "error", message))
        return found

    def summary(self) -> dict[str, Any]:
        """Pixel share and number of images per class, and the share of void."""
        total = sum(sum(found.values()) for found in self._pixels.values())
        shares = {
            name: round(sum(found[name] for found in self._pixels.values()) / max(total, 1), 6)
            for name in self.names()
        }
        return {
            "mask_shares": shares,
            "mask_images": {name: self._images[name] for name in self.names()},
            "look_binary": self.look_binary(),
            "void_share": round(float(np.mean(self._void)), 6) if self._void else 0.0,
        }
