"""Splits defined by YOLO's ``data.yaml`` or by lists such as ``train.txt``.

``data.yaml`` names folders or image lists, relative to its key ``path``, to its own folder, or
on another machine. Paths are therefore matched from their end.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from aitk.core.contract.errors import DataError
from aitk.core.io.names import SPLIT_OF_WORD
from aitk.vision.data.class_lists import MAX_BYTES as MAX_YAML_BYTES
from aitk.vision.data.class_lists import YAML_NAMES, parse_yaml
from aitk.vision.data.image_finder import ImageFinder, clean_path
from aitk.vision.data.sidecar_files import is_image
from aitk.vision.data.trees import Tree

MAX_LIST_BYTES = 200_000_000


def find_yolo_splits(tree: Tree, images: Sequence[str]) -> dict[str, str]:
    """Image -> the split that the files of a tree assign to it; empty if they assign none.

    An image named by several splits belongs to the first of train, validation and test.
    """
    splits: dict[str, str] = {}
    for split, folder, path in _named(tree):
        for name in _images_of(path, folder, tree, images):
            splits.setdefault(name, split)
    return splits


def _named(tree: Tree) -> list[tuple[str, str, str]]:
    """Split, folder of the naming file, and path; entries of a data.yaml first."""
    found: list[tuple[str, str, str]] = []
    for name in tree.names:
        folder, file = posixpath.split(name)
        stem, ending = posixpath.splitext(file.lower())
        if file.lower() in YAML_NAMES:
            try:
                content = parse_yaml(tree.read(name, max_bytes=MAX_YAML_BYTES), tree.location(name))
            except DataError:  # the reader of its classes reports the error
                continue
            for word, value in content.items() if isinstance(content, dict) else ():
                paths = value if isinstance(value, list) else [value]
                split = SPLIT_OF_WORD.get(word)
                found += [(split, folder, p) for p in paths if split and isinstance(p, str) and p]
        elif ending == ".txt" and stem in SPLIT_OF_WORD:
            found.append((SPLIT_OF_WORD[stem], folder, file))
    order = list(dict.fromkeys(SPLIT_OF_WORD.values()))
    return sorted(found, key=lambda item: order.index(item[0]))


def _images_of(path: str, folder: str, tree: Tree, images: Sequence[str]) -> Iterable[str]:
    """The images that a path refers to: a list, or a folder."""
    path = clean_path(path)
    if not path:  # the root is common to all splits
        return ()
    if path.lower().endswith(".txt"):
        lists = [name for name in tree.names if f"/{name}".endswith(f"/{path}")]
        nearest = max(lists, key=lambda name: posixpath.dirname(name) == folder, default=None)
        return () if nearest is None else _listed(nearest, tree, images)
    parts = path.split("/")
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        for base in (f"{folder}/{tail}/".lstrip("/"), f"{tail}/"):
            if found := [name for name in images if name.startswith(base)]:
                return found
    return ()


def _listed(name: str, tree: Tree, images: Sequence[str]) -> Iterable[str]:
    """The images named in a list, one per line; empty if it lists something else."""
    text = tree.read(name, max_bytes=MAX_LIST_BYTES).decode("utf-8-sig", errors="replace")
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if not paths or not all(map(is_image, paths[:10])):
        return
    folder = posixpath.dirname(name)
    finder = ImageFinder(images, folder=folder, paths=paths, split=None)
    for path in paths:
        try:
            yield finder.find(path)
        except DataError:  # a missing or ambiguous image
            continue
