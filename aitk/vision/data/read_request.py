"""What is asked of a reader of pictures, and where its classes come from."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aitk.core.contract.labels import normalise
from aitk.vision.data.class_lists import ClassList, find_class_list, read_class_list
from aitk.vision.data.options import USUALLY_IGNORED, PictureReading
from aitk.vision.data.reading_counts import UNKNOWN_IGNORED, ReadingCounts
from aitk.vision.data.trees import Folder, Tree
from aitk.vision.features.intensity import IntensityRange, parse_range

#: What a picture needs that nobody annotated it with.
MISSING = {
    "label": "no folder or table tells its label",
    "boxes": "nothing tells its boxes: there is no XML, text or JSON file of its name",
    "mask": "there is no mask of its name",
}


@dataclass
class Wish:
    """What is asked of a reader.

    Attributes:
        reading: the task's reading options.
        wants: of ``label``, ``boxes``, ``mask``.
        labelled: what is wanted must be there; where several things are, one of them.
        notes: what was decided on the way is added here.
        counts: what is left out on the way is counted here.
    """

    reading: PictureReading
    wants: Collection[str]
    labelled: bool
    notes: list[str]
    counts: ReadingCounts = field(default_factory=ReadingCounts)

    @property
    def due(self) -> Collection[str]:
        """What is looked for."""
        return self.wants if self.labelled else ()

    @property
    def ignored(self) -> Collection[str]:
        return [normalise(name) for name in getattr(self.reading, "ignore", ())]

    @property
    def crowd(self) -> str:
        return getattr(self.reading, "crowd", "objects")

    @functools.cached_property
    def intensity(self) -> IntensityRange | None:
        return parse_range(self.reading.intensity_range)

    @property
    def binary(self) -> bool:
        return getattr(self.reading, "binary_masks", False)

    def told(self, name: str) -> str | None:
        """An option that only some tasks have."""
        return getattr(self.reading, name, None)

    def folder(self, path: Path, *, only: Sequence[str] | None = None) -> Folder:
        """A folder on disk, its links followed as the options say."""
        return Folder(path, outside=self.reading.outside, only=only)

    def class_list(self, tree: Tree | None) -> ClassList | None:
        """The classes that the options name, or a file in the tree."""
        if file := self.told("classes"):
            found: ClassList | None = read_class_list(file, self.ignored)
        else:
            found = find_class_list(tree, self.ignored) if tree else None
        self.counts.classes.update(found.names if found else ())
        return found

    def mask_classes(self, tree: Tree | None) -> ClassList:
        """The same for masks, whose numbers may have no names."""
        return self.class_list(tree) or ClassList((), ignored=frozenset(self.ignored))

    def count_unknown_ignored(self) -> None:
        """Count the classes that are to be ignored, and are none of those that were read."""
        known = self.counts.classes
        for name in self.ignored:
            if known and name not in known and name not in USUALLY_IGNORED:
                self.counts.add(UNKNOWN_IGNORED, name)
