"""What the folders above a picture tell: its label, and its split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from aitk.core.split_names import SPLIT_OF_WORD
from aitk.vision.beside import PICTURE_FOLDERS, place_of
from aitk.vision.trees import Folder, Tree


def labels_by_folder(
    tree: Tree, pictures: Sequence[str], *, mixed: bool
) -> Callable[[str], str | None]:
    """How the label of a picture follows from its folders.

    Folders that name splits are no part of it, nor those above that all pictures share. Where
    none has a folder, the root's own name is the label.

    Args:
        mixed: rows may have no label: folders named ``images`` and the like tell none.
    """

    def folders(name: str) -> tuple[str, ...]:
        parts = name.split("/")[:-1]
        return tuple(
            part
            for part in parts
            if part.lower() not in SPLIT_OF_WORD and not (mixed and part.lower() in PICTURE_FOLDERS)
        )

    shared = 0
    counts = Counter(folders(name) for name in pictures)
    found = [parts for parts in counts if parts]
    if found:
        shortest = min(map(len, found))
        while shared < shortest - 1 and len({parts[shared] for parts in found}) == 1:
            shared += 1
    root = Path(tree.source).resolve().name if isinstance(tree, Folder) else ""
    alone = root if not found and not mixed and root.lower() not in SPLIT_OF_WORD else ""

    def label_of(name: str) -> str | None:
        return "/".join(folders(name)[shared:]) or alone or None

    return label_of


def split_of(name: str) -> str | None:
    """The split that a folder above a file is named for."""
    for part in reversed(name.split("/")[:-1]):
        if part.lower() in SPLIT_OF_WORD:
            return SPLIT_OF_WORD[part.lower()]
        twin = place_of(f"{part}/x")[0].lower()  # trainannot, train_images
        if twin in SPLIT_OF_WORD:
            return SPLIT_OF_WORD[twin]
    return None
