"""A folder of versions of a run, and the pointer that says which is in use.

::

    NAME/v0, v1, ...    runs; the parent of each is the version that it was made from
    NAME/current        a symbolic link to one of them, replaced by one rename

Whoever loads ``NAME/current`` finds a whole run at any moment, also after a kill.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from aitk.core.artifacts.drafts import draft_folder, own_folder
from aitk.core.artifacts.run import Run, load_run
from aitk.core.artifacts.targets import check_folder
from aitk.core.contract.errors import ArtifactError, UsageError

CURRENT = "current"
_NEXT = ".next"  # the link before it gets its name


def is_versions(folder: Path) -> bool:
    """Whether a folder holds versions."""
    return os.path.islink(folder / CURRENT)


class Versions:
    """A folder of versions that this process writes. Open it with ``opened``."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls, folder: Path, *, start: Path | None = None, domain: str | None = None
    ) -> Iterator[Versions]:
        """Open a folder of versions for writing, or begin one with a copy of a run as ``v0``.

        Args:
            start: what the versions begin with; this folder itself, or its current version, where
                it is one already.

        Raises:
            UsageError: it is something else, another process writes it, or it does not come from
                ``start``.
        """
        versions = cls(folder)
        begun = is_versions(folder)
        if not begun:
            if start is None or start == folder:
                raise UsageError("is no folder of versions", where=str(folder))
            load_run(start, domain=domain)
            if not folder.exists() or not any(folder.glob("v*")):
                check_folder(folder, inputs=[start], overwrite=True)
        elif start is not None and not _same(start, folder, folder / CURRENT):
            raise UsageError(
                "has versions of another run, or older than its current one",
                where=str(folder),
                hint=f"Go on with: update {folder} ...",
            )
        with own_folder(folder):
            if not is_versions(folder):
                versions._begin(load_run(str(start)))
            yield versions

    def current(self) -> Run:
        """The version in use."""
        return load_run(self._target())

    def all(self) -> list[Path]:
        """Every whole version, the oldest first."""
        found = [path for path in self.folder.glob("v*") if path.name[1:].isdigit()]
        whole = [path for path in found if (path / "run.json").is_file()]
        return sorted(whole, key=lambda path: int(path.name[1:]))

    def next(self) -> Path:
        """The name of the version to come."""
        return self.folder / f"v{max(int(path.name[1:]) for path in self.all()) + 1}"

    def promote(self, version: Path) -> None:
        """Make a version the current one, in one step."""
        link = self.folder / _NEXT
        link.unlink(missing_ok=True)
        link.symlink_to(version.name)
        os.replace(link, self.folder / CURRENT)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def roll_back(self) -> tuple[Path, Path]:
        """Make the parent of the current version the current one.

        Returns:
            The version that was current, and the one that is now.

        Raises:
            UsageError: the current version is the first one.
            ArtifactError: its parent is gone.
        """
        was = self._target()
        parent = load_run(was).manifest.get("parent")
        if was.name == "v0" or parent is None:
            raise UsageError("is the first version", where=str(was))
        now = self.folder / Path(parent).name
        if not (now / "run.json").is_file():
            raise ArtifactError("its parent is gone", where=str(was))
        self.promote(now)
        return was, now

    def _target(self) -> Path:
        return self.folder / os.readlink(self.folder / CURRENT)

    def _begin(self, run: Run) -> None:
        first = self.folder / "v0"
        if not (first / "run.json").is_file():
            with draft_folder(first) as draft:
                run.copy_into(draft)
        self.promote(first)


def _same(path: Path, *others: Path) -> bool:
    return any(other.exists() and path.exists() and path.samefile(other) for other in others)
