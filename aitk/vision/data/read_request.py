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

#: What an image needs that nobody annotated it with.
MISSING = {
    "label": "no folder or table tells its label",
    "score": "no table tells its score",
    "boxes": "nothing tells its boxes: there is no XML, text or JSON file of its name",
    "mask": "there is no mask of its name",
}


@dataclass
class ReadRequest:
    """A request to read images.

    Attributes:
        reading: the task's reading options.
        annotation_kinds: of ``label``, ``boxes``, ``mask``; or ``score`` alone.
        labelled: every row needs at least one of these kinds.
        note: receives what reading decided by itself.
        counts: what is left out on the way is counted here.
    """

    reading: ImageReading
    annotation_kinds: Collection[str]
    labelled: bool
    note: Note
    counts: ReadingCounts = field(default_factory=ReadingCounts)
    _noted: set[str] = field(default_factory=set)

    def note_all(self, sentences: Iterable[str]) -> None:
        """Note each sentence that was not noted before: several files may decide alike."""
        for sentence in sentences:
            if sentence not in self._noted:
                self._noted.add(sentence)
                self.note(sentence)

    @property
    def required_kinds(self) -> Collection[str]:
        """The kinds of annotation that are looked for."""
        return self.annotation_kinds if self.labelled else ()

    @property
    def whole_image(self) -> bool:
        """Whether the annotation is of the image as a whole: no file is a mask."""
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
        """Whether rows have any number of labels."""
        return getattr(self.reading, "has_many_labels", False)

    @property
    def binary(self) -> bool:
        return getattr(self.reading, "binary_masks", False)

    def option(self, name: str) -> str | None:
        """An option that only some tasks have."""
        return getattr(self.reading, name, None)

    def folder(self, path: Path, *, only: Sequence[str] | None = None) -> Folder:
        """A folder on disk, its links followed as the options say."""
        return Folder(path, outside=self.reading.outside, only=only)

    def class_list(self, tree: Tree | None) -> ClassList | None:
        """The classes that the options name, or a file in the tree."""
        if file := self.option("classes"):
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
