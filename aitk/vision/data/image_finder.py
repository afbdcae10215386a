"""Resolves the image paths in annotation files.

Tools write paths relative to the annotation file, to the root of their project or of another
machine; with ``\\`` between folders; percent-encoded; with composed or decomposed accents (NFC,
NFD). Equal file names in several folders are common: ``train/0001.jpg``, ``test/0001.jpg``.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from aitk.core.contract.errors import DataError
from aitk.core.io.names import SPLIT_OF_WORD, shorten, split_named
from aitk.vision.data.sidecar_files import BOX_FOLDERS, IMAGE_FOLDERS, name_key
from aitk.vision.data.trees import Folder, Tree

#: Label Studio names an upload ``90fbb0c7-0001.jpg``.
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
_DRIVE = re.compile(r"[A-Za-z]:")


def split_of_folders(name: str) -> str | None:
    """The split named by a folder above a file, as in ``images/val2017/1.jpg``."""
    folders = name.split("/")[-2::-1]
    return next(filter(None, map(split_named, folders)), None)


def split_of_root(tree: Tree) -> str | None:
    """The split named by the source folder itself."""
    if isinstance(tree, Folder):
        return SPLIT_OF_WORD.get(tree.root.resolve().name.lower())
    return None


class ImageFinder:
    """Finds the images named by one annotation file.

    Args:
        images: the names of all images in a tree.
        folder: folder of the annotation file in that tree, "" for its root.
        paths: all paths in the file.
        split: the split of the file, if known.
    """

    def __init__(
        self, images: Sequence[str], *, folder: str, paths: Iterable[str], split: str | None
    ):
        self._bases = [folder]
        if posixpath.basename(folder).lower() in BOX_FOLDERS:
            self._bases.append(posixpath.dirname(folder))
        self._named: defaultdict[str, list[str]] = defaultdict(list)
        for name in images:
            self._named[name_key(posixpath.basename(name))].append(name)
        names = {posixpath.basename(clean_path(path)) for path in paths}
        meant = [image for name in names for image in self._of_name(name)]
        self._scope = _nearest_folder(folder, meant)
        self._split = split
        self._has_split_folder = any(split_of_folders(name) == split for name in meant)

    def find(self, path: str) -> str:
        """The image that a path refers to.

        Images next to the annotation file come first, then those with the longest matching path.

        Raises:
            DataError: no image matches, or several do.
        """
        path = clean_path(path)
        named = self._of_name(path)
        found = [name for name in named if self._is_possible(name)]
        if not found:
            elsewhere = f" next to its annotation file, only {named[0]}" if named else ""
            raise DataError(f"there is no image {shorten(path)}{elsewhere}")
        ranks = [self._rank(name, path) for name in found]
        best = [name for name, rank in zip(found, ranks, strict=True) if rank == max(ranks)]
        if len(best) > 1:
            raise DataError(f"{shorten(path)} may mean {len(best)} images: {', '.join(best[:3])}")
        return best[0]

    def _of_name(self, path: str) -> list[str]:
        """The images with a name, or with the name less its upload prefix."""
        name = posixpath.basename(path)
        found = self._named.get(name_key(name), [])
        if not found and (uploaded := _UPLOADED.fullmatch(name)):
            return self._named.get(name_key(uploaded[1]), [])
        return found

    def _is_possible(self, name: str) -> bool:
        """Whether an image is in the scope of the file, and not in another split's folder."""
        if not name.startswith(self._scope):
            return False
        split = split_of_folders(name)
        return not (self._split and self._has_split_folder and split) or split == self._split

    def _rank(self, name: str, path: str) -> tuple[int, int, bool, bool]:
        nearness = max(_beside(name, path, base) for base in self._bases)
        agreed = _agreeing_parts(name, path)
        exact = posixpath.basename(name) == posixpath.basename(path)
        return nearness, agreed, exact, split_of_folders(name) == self._split


def _nearest_folder(folder: str, meant: Sequence[str]) -> str:
    """The nearest folder at or above ``folder`` that holds any of these images, plus ``/``."""
    while folder and not any(name.startswith(f"{folder}/") for name in meant):
        folder = posixpath.dirname(folder)
    return f"{folder}/" if folder else ""


def clean_path(path: str) -> str:
    """Reduce a path to its trailing folders and name, without its origin."""
    plain = _DRIVE.sub("", path.replace("\\", "/"), count=1) if path[1:2] == ":" else path
    parts = [part for part in plain.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts)


def _beside(name: str, path: str, base: str) -> int:
    """2 if the path leads from a folder to the image, 1 if via its subfolder ``images``."""
    if base and not name.startswith(f"{base}/"):
        return 0
    inside = name[len(base) + 1 :] if base else name
    if name_key(inside) == name_key(path):
        return 2
    first, _, rest = inside.partition("/")
    return int(first.lower() in IMAGE_FOLDERS and name_key(rest) == name_key(path))


def _agreeing_parts(name: str, path: str) -> int:
    """The number of trailing parts that two paths share."""
    count = 0
    for left, right in zip(reversed(name.split("/")), reversed(path.split("/")), strict=False):
        if name_key(left) != name_key(right):
            break
        count += 1
    return count
