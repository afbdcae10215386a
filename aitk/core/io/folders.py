"""The files of a user's folder, without those that lead out of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk_files(root: Path, note: Callable[[str], None]) -> Iterator[Path]:
    """Yield the files below a folder, sorted.

    Hidden ones are left out, and links that lead out of the folder: ``note`` is told of these.
    """
    inside = root.resolve()
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        for file in sorted(files):
            path = Path(folder, file)
            if file.startswith(".") or not os.path.isfile(path):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                note(f"{path}: not followed, since it leads out of the folder")
            else:
                yield path
