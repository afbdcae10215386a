"""Counts of what reading leaves out or changes, so that nothing disappears silently."""

from __future__ import annotations

import dataclasses
import posixpath
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aitk.core.contract.task import Finding, Grade
from aitk.core.io.names import printable
from aitk.vision.data.class_lists import LIST_NAMES, YAML_NAMES
from aitk.vision.data.sidecar_files import is_image, is_unread_image
from aitk.vision.data.trees import Folder, Tree
from aitk.vision.data.video import is_video
from aitk.vision.features.intensity import IntensityStatistics

EXAMPLES = 10


@dataclass(frozen=True)
class Kind:
    """A counted event of reading.

    Attributes:
        check: name of the finding.
        what: plural description, with the remedy.
        grade: grade of the finding if the count is not 0.
    """

    check: str
    what: str
    grade: Grade = "warning"


MATCHED = Kind("annotations", "annotations belong to images that were read", "ok")
UNMATCHED = Kind("annotations of refused images", "annotations belong to refused images")
UNKNOWN_IMAGE = Kind(
    "annotations of unknown images",
    "annotations have an image_id that no image of their file has; they are omitted",
)
UNKNOWN_CATEGORY = Kind(
    "annotations of unknown categories",
    "annotations have a category_id that no category of their file has",
)
NO_OBJECT = Kind("malformed annotations", "annotations are not JSON objects and are omitted")
UNKNOWN_IGNORED = Kind("ignored classes", "classes named by --ignore occur in none of the files")
DEGENERATE_POLYGONS = Kind(
    "degenerate polygons", "polygons with under three points have no area and are omitted"
)
NO_AREA = Kind(
    "shapes without area",
    "shapes are points, lines or brush strokes, not boxes or outlines, and are omitted",
)
EMPTY_BOXES = Kind("empty boxes", "boxes without area are omitted")
CROWD_OUTLINES = Kind(
    "crowd outlines",
    "outlines are crowd regions (iscrowd), drawn as their class: --crowd ignore makes them void",
    "ok",
)
VOID_CROWDS = Kind("crowd outlines", "outlines are crowd regions (iscrowd) and become void", "ok")
UNNAMED_IMAGES = Kind(
    "images without annotation", "images are named by no annotation file or table and are omitted"
)
OUTSIDE_SPLITS = Kind(
    "images next to the splits",
    "images are next to the split folders, in none of them, and are omitted",
)
UNLISTED = Kind("unlisted images", "images are in no list of ImageSets and are omitted")
LISTED_MISSING = Kind("listed images", "images named by ImageSets lists are missing")
NAMED_TWICE = Kind(
    "images named twice",
    "images are named by several entries or files, each possibly with some of their"
    " annotations; --annotations selects one file",
)
ORPHAN_FILES = Kind("annotations of no image", "annotation files match no image")
UNREAD_KINDS = Kind(
    "images of other kinds",
    "image files have an unsupported format and are omitted: convert them to PNG or JPEG",
)
OTHER_FILES = Kind("other files", "files are neither images nor annotations and are omitted", "ok")
NAMELESS_KIND = Kind(
    "files of unknown kind",
    "files among the images have an unknown suffix and are omitted: rename them if they are images",
)
LINKS = Kind(
    "links",
    "links point outside the folder, nowhere, or to a folder already read, and are not"
    " followed; --outside follows links that point outside",
)
UNKNOWN_SPLITS = Kind(
    "unknown splits",
    "rows name a split other than train, validation and test, and are split by hash",
)
REFUSED_MEMBERS = Kind("members of archives", "archive members are not images or cannot be read")
UNREADABLE = Kind("unreadable folders", "folders cannot be opened and are omitted")
PAGES = Kind(
    "pages", "TIFF files have several pages, of which only the first is read: split the others off"
)


@dataclass
class ReadingCounts:
    """Counts of each kind of event."""

    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, list[str]] = field(default_factory=dict)
    #: Classes of boxes and masks, including ignored ones.
    classes: set[str] = field(default_factory=set)
    #: Class -> its id in the COCO files read.
    category_ids: dict[str, int | str] = field(default_factory=dict)
    #: Value ranges of images with more than 8 bits.
    intensity: IntensityStatistics = field(default_factory=IntensityStatistics)
    _disputed: set[str] = field(default_factory=set)
    _noted: set[Kind] = field(default_factory=set)
    _intensity_is_noted: bool = False

    def add(self, kind: Kind, example: str = "", *, count: int = 1) -> None:
        """Count an event, with an example."""
        if count <= 0:
            return
        self.counts[kind] += count
        examples = self.examples.setdefault(kind, [])
        if example and example not in examples and len(examples) < EXAMPLES:
            examples.append(printable(example))

    def add_categories(self, ids: Mapping[str, int | str]) -> None:
        """Record the ids that a COCO file assigns to its classes, as written there.

        If files disagree, no id is right for all images, and the class gets none.
        """
        for name, number in ids.items():
            known = self.category_ids.setdefault(name, number)
            self._disputed |= {name} if known != number else set()
        for name in self._disputed:
            self.category_ids.pop(name, None)

    def as_json(self) -> dict[str, Any]:
        """All of it, for another process to go on with."""
        return {
            "kinds": [
                [*dataclasses.astuple(kind), count, self.examples[kind]]
                for kind, count in self.counts.items()
            ],
            "classes": sorted(self.classes),
            "category_ids": self.category_ids,
            "disputed": sorted(self._disputed),
            "intensity": self.intensity.as_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ReadingCounts:
        """What ``as_json`` gave."""
        found = cls(
            classes=set(value["classes"]),
            category_ids=dict(value["category_ids"]),
            intensity=IntensityStatistics.from_json(value["intensity"]),
        )
        found._disputed = set(value["disputed"])
        for check, what, grade, count, examples in value["kinds"]:
            kind = Kind(check, what, grade)
            found.counts[kind], found.examples[kind] = count, examples
        return found

    def findings(self) -> list[Finding]:
        """One finding per kind with a count."""
        found = self.intensity.finding()
        return ([found] if found else []) + [
            Finding(
                kind.check,
                kind.grade,
                self._message(kind),
                {"count": count, "examples": self.examples[kind]},
            )
            for kind, count in self.counts.items()
        ]

    def notes(self) -> list[str]:
        """One sentence per kind, for reading without findings."""
        new = [kind for kind in self.counts if kind.grade != "ok" and kind not in self._noted]
        self._noted.update(new)
        sentences = [self._message(kind) for kind in new]
        found = self.intensity.finding()
        if found and found.grade != "ok" and not self._intensity_is_noted:
            self._intensity_is_noted = True
            sentences.append(found.message)
        return sentences

    def _message(self, kind: Kind) -> str:
        shown = self.examples[kind][:3]
        more = ", ..." if self.counts[kind] > len(shown) else ""
        named = f" ({', '.join(shown)}{more})" if shown else ""
        return f"{self.counts[kind]:,} {kind.what}{named}"


# Unused files --------------------------------------------

#: Suffixes of files that commonly accompany images.
COMPANIONS = (
    ".txt", ".md", ".rst", ".pdf", ".html", ".htm", ".json", ".jsonl", ".ndjson", ".xml", ".csv",
    ".tsv", ".xls", ".xlsx", ".parquet", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".names",
    ".data", ".py", ".ipynb", ".sh", ".bat", ".m", ".mat", ".h5", ".hdf5", ".pkl", ".zip", ".tar",
    ".gz", ".tgz", ".db", ".log", ".doc", ".docx", ".cache", ".lst", ".rec", ".tfrecord", ".pb",
    ".pbtxt", ".xmp", ".lock", ".bak",
)  # fmt: skip
_COMPANION_NAMES = frozenset(
    ("readme", "license", "licence", "notice", "authors", "copying", "makefile")
)


def count_passed_over(tree: Tree, used: Collection[str], counts: ReadingCounts) -> None:
    """Count unused files, and links and folders that were not followed.

    Args:
        used: names of the images and annotation files behind rows.
    """
    taken = set(used)
    folders = {posixpath.dirname(name) for name in taken if is_image(name)}
    for name in tree.names:
        if name in taken or is_image(name) or is_video(name) or _names_classes(name):
            continue
        if is_unread_image(name):
            counts.add(UNREAD_KINDS, name)
        elif _is_companion(name) or posixpath.dirname(name) not in folders:
            counts.add(OTHER_FILES, name)
        else:
            counts.add(NAMELESS_KIND, name)
    if isinstance(tree, Folder):
        count_links(tree, counts)


def count_links(tree: Folder, counts: ReadingCounts) -> None:
    """Count links that were not followed, and unreadable folders."""
    for kind, names in ((LINKS, tree.links), (UNREADABLE, tree.unreadable)):
        for name in names:
            counts.add(kind, name)


def kinds_of(names: Iterable[str]) -> str:
    """The suffixes of unsupported files, for an error: ``.heic, .npy``."""
    endings = {posixpath.splitext(name)[1].lower() for name in names if is_unread_image(name)}
    return ", ".join(sorted(endings))


def _names_classes(name: str) -> bool:
    return posixpath.basename(name).lower() in (*LIST_NAMES, *YAML_NAMES)


def _is_companion(name: str) -> bool:
    file = posixpath.basename(name).lower()
    return file.endswith(COMPANIONS) or posixpath.splitext(file)[0] in _COMPANION_NAMES
