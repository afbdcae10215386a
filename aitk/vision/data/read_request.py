"""A request to read images: options, kinds of annotation, class list."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aitk.core.contract.labels import normalise
from aitk.core.contract.task import Note
from aitk.vision.data.class_lists import ClassList, find_class_list, read_class_list
from aitk.vision.data.options import USUALLY_IGNORED, ImageReading
from aitk.vision.data.reading_counts import UNKNOWN_IGNORED, ReadingCounts
from aitk.vision.data.trees import Folder, Tree
from aitk.vision.features.intensity import IntensityRange, parse_range

#: Reason for a refusal, per missing annotation kind.
MISSING = {
    "label": "no folder or table gives its label",
    "score": "no table gives its score",
    "boxes": "it has no boxes: there is no XML, text or JSON file with its name",
    "mask": "there is no mask with its name",
}


@dataclass
class ReadRequest:
    """A request to read images.

    Attributes:
        reading: the task's reading options.
        annotation_kinds: ``label``, ``boxes``, ``mask`` in any combination; or ``score`` alone.
        labelled: every row needs at least one of these kinds.
        note: receives notes on automatic decisions.
        counts: collects what is omitted.
    """

    reading: ImageReading
    annotation_kinds: Collection[str]
    labelled: bool
    note: Note
    counts: ReadingCounts = field(default_factory=ReadingCounts)
    _noted: set[str] = field(default_factory=set)

    def note_all(self, sentences: Iterable[str]) -> None:
        """Note each sentence once: several files may lead to the same one."""
        for sentence in sentences:
            if sentence not in self._noted:
                self._noted.add(sentence)
                self.note(sentence)

    @property
    def required_kinds(self) -> Collection[str]:
        """The annotation kinds to read."""
        return self.annotation_kinds if self.labelled else ()

    @property
    def whole_image(self) -> bool:
        """Whether annotations apply to the whole image, so no file is a mask."""
        return set(self.annotation_kinds) in ({"label"}, {"score"})

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
    def many_labels(self) -> bool:
        """Whether rows have several labels."""
        return getattr(self.reading, "has_many_labels", False)

    @property
    def binary(self) -> bool:
        return getattr(self.reading, "binary_masks", False)

    def option(self, name: str) -> str | None:
        """The value of an option that not every task has."""
        return getattr(self.reading, name, None)

    def folder(self, path: Path, *, only: Sequence[str] | None = None) -> Folder:
        """A folder on disk; links are followed as the options say."""
        return Folder(path, outside=self.reading.outside, only=only)

    def class_list(self, tree: Tree | None) -> ClassList | None:
        """The class list from the options, or from a file in the tree."""
        if file := self.option("classes"):
            found: ClassList | None = read_class_list(file, self.ignored)
        else:
            found = find_class_list(tree, self.ignored) if tree else None
        self.counts.classes.update(found.names if found else ())
        return found

    def mask_classes(self, tree: Tree | None) -> ClassList:
        """The class list for masks, whose classes may be unnamed."""
        return self.class_list(tree) or ClassList((), ignored=frozenset(self.ignored))

    def count_unknown_ignored(self) -> None:
        """Count the ignored classes that occur in no file."""
        known = self.counts.classes
        for name in self.ignored:
            if known and name not in known and name not in USUALLY_IGNORED:
                self.counts.add(UNKNOWN_IGNORED, name)
