"""Files of a tree that no row comes from: counted by kind, so that none disappears unawares."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable

from aitk.vision.data.class_lists import LIST_NAMES, YAML_NAMES
from aitk.vision.data.reading_counts import (
    LINKS,
    NAMELESS_KIND,
    OTHER_FILES,
    UNREAD_KINDS,
    UNREADABLE,
    ReadingCounts,
)
from aitk.vision.data.sidecar_files import is_image, is_unread_image
from aitk.vision.data.trees import Folder, Tree
from aitk.vision.data.video import is_video

#: Endings of what commonly lies among images and is none.
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
    """Count the files that are not used, and the links and folders that were not followed.

    Args:
        used: names of the images and annotation files that rows come from.
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
    """Count the links that were not followed, and the folders that cannot be opened."""
    for kind, names in ((LINKS, tree.links), (UNREADABLE, tree.unreadable)):
        for name in names:
            counts.add(kind, name)


def kinds_of(names: Iterable[str]) -> str:
    """The endings of files that are not read, for an error: ``.heic, .npy``."""
    endings = {posixpath.splitext(name)[1].lower() for name in names if is_unread_image(name)}
    return ", ".join(sorted(endings))


def _names_classes(name: str) -> bool:
    return posixpath.basename(name).lower() in (*LIST_NAMES, *YAML_NAMES)


def _is_companion(name: str) -> bool:
    file = posixpath.basename(name).lower()
    return file.endswith(COMPANIONS) or posixpath.splitext(file)[0] in _COMPANION_NAMES
