"""Labels and splits derived from the folders above an image."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from aitk.core.io.names import SPLIT_OF_WORD, split_named
from aitk.vision.data.sidecar_files import IMAGE_FOLDERS, place_of
from aitk.vision.data.trees import Folder, Tree


@dataclass(frozen=True)
class SplitFolders:
    """Folders whose words name splits, such as ``training_set`` next to ``test_set``.

    A single such name may be a class, such as ``train station``. So most sibling folders must
    name splits, and at least two of them.

    Attributes:
        splits: folder -> its split.
        others: sibling folders that name no split, and no class either.
    """

    splits: Mapping[str, str]
    others: Set[str]

    def of(self, name: str) -> str | None:
        """The split named by a folder above a file."""
        return next((self.splits[f] for f in _folders(name)[::-1] if f in self.splits), None)

    def passes_over(self, name: str) -> bool:
        """Whether a file is next to the split folders but in none of them."""
        return not self.others.isdisjoint(_folders(name))


def find_split_folders(names: Iterable[str]) -> SplitFolders:
    """Find the split folders above files."""
    siblings: dict[str, set[str]] = {}
    for name in names:
        for folder in _folders(name):
            siblings.setdefault(posixpath.dirname(folder), set()).add(folder)
    splits: dict[str, str] = {}
    others: set[str] = set()
    for folders in siblings.values():
        named_splits = {folder: split_named(posixpath.basename(folder)) for folder in folders}
        named = {folder: split for folder, split in named_splits.items() if split}
        if len(set(named.values())) > 1 and len(named) > len(folders) / 2:
            splits |= named
            others |= folders - set(named)
    for folder in sorted(set().union(*siblings.values())):  # parents before children
        above, name = posixpath.split(folder)
        if above in splits and name == posixpath.basename(above):  # unpacked into its own name
            splits[folder] = splits[above]
    return SplitFolders(splits, others)


def labels_by_folder(
    tree: Tree, images: Sequence[str], splits: SplitFolders, *, mixed: bool
) -> Callable[[str], str | None]:
    """Return a function that derives the label of an image from its folders.

    Split folders and the common ancestors of all images are ignored. If no image has a folder,
    the root's own name is the label.

    Args:
        mixed: rows may be unlabelled; folders such as ``images`` give no label.
    """

    def parts_of(name: str) -> tuple[str, ...]:
        return tuple(
            part
            for folder in _folders(name)
            if (part := posixpath.basename(folder)).lower() not in SPLIT_OF_WORD
            and folder not in splits.splits
            and not (mixed and part.lower() in IMAGE_FOLDERS)
        )

    shared = 0
    found = [parts for parts in {parts_of(name) for name in images} if parts]
    if found:
        shortest = min(map(len, found))
        while shared < shortest - 1 and len({parts[shared] for parts in found}) == 1:
            shared += 1
    root = Path(tree.source).resolve().name if isinstance(tree, Folder) else ""
    alone = root if not found and not mixed and root.lower() not in SPLIT_OF_WORD else ""

    def label_of(name: str) -> str | None:
        if splits.passes_over(name):
            return None
        return "/".join(parts_of(name)[shared:]) or alone or None

    return label_of


def _folders(name: str) -> list[str]:
    """The folders above a file, root first: ``a``, ``a/b``."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: at + 1]) for at in range(len(parts))]


def split_of(name: str) -> str | None:
    """The split named by a folder above a file."""
    for part in reversed(name.split("/")[:-1]):
        if part.lower() in SPLIT_OF_WORD:
            return SPLIT_OF_WORD[part.lower()]
        twin = place_of(f"{part}/x")[0].lower()  # trainannot, train_images
        if twin in SPLIT_OF_WORD:
            return SPLIT_OF_WORD[twin]
    return None
