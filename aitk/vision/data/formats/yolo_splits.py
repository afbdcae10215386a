"""Which split an image is of by YOLO's ``data.yaml``, or by lists such as ``train.txt``.

``data.yaml`` names folders, or lists of images, by paths that begin at its key ``path``, at its
folder, or on another machine: what agrees from the end of a path counts.
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
    """Image -> the split that the files of a tree name for it; none where they name none.

    An image that several splits name is of the first of train, validation and test.
    """
    splits: dict[str, str] = {}
    for split, folder, path in _named(tree):
        for name in _images_of(path, folder, tree, images):
            splits.setdefault(name, split)
    return splits


def _named(tree: Tree) -> list[tuple[str, str, str]]:
    """Split, folder of the file that names it, and path; those of a data.yaml first."""
    found: list[tuple[str, str, str]] = []
    for name in tree.names:
        folder, file = posixpath.split(name)
        stem, ending = posixpath.splitext(file.lower())
        if file.lower() in YAML_NAMES:
            try:
                content = parse_yaml(tree.read(name, max_bytes=MAX_YAML_BYTES), tree.location(name))
            except DataError:  # whoever needs its classes says so
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
    """The images that a path means: those of a list, or below a folder."""
    path = clean_path(path)
    if not path:  # the root, which all splits share
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
    """The images that a list names, one a line; none where it lists something else."""
    text = tree.read(name, max_bytes=MAX_LIST_BYTES).decode("utf-8-sig", errors="replace")
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if not paths or not all(map(is_image, paths[:10])):
        return
    folder = posixpath.dirname(name)
    finder = ImageFinder(images, folder=folder, paths=paths, split=None)
    for path in paths:
        try:
            yield finder.find(path)
        except DataError:  # of an image that is not here, or not to be told from another
            continue
