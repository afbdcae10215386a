"""File trees with one interface for folders on disk and archives.

Archive members are read one by one and never unpacked to disk, so a member cannot overwrite a
file. Both their declared and their actual sizes are bounded.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from aitk.core.contract.errors import DataError
from aitk.core.io.images import MOST_BYTES
from aitk.core.io.names import find_file, match_spelling, shorten


class Tree(Protocol):
    """Files below a folder.

    Attributes:
        source: the folder or archive as given by the user.
        names: the file names, ``/`` between folders, sorted.
    """

    @property
    def source(self) -> str: ...

    @property
    def names(self) -> Sequence[str]: ...

    def read(self, name: str, *, max_bytes: int = MOST_BYTES) -> bytes:
        """The bytes of a file.

        Raises:
            DataError: it cannot be read, or has more than ``max_bytes`` bytes.
        """

    def find(self, name: str, folder: str, *, outside: bool) -> str:
        """The file that a table in ``folder`` refers to as ``name``.

        Raises:
            DataError: there is none, or it is outside and that is not allowed.
        """

    def where(self, name: str) -> tuple[str, int]:
        """The user's file and line that identify a file in reports."""

    def location(self, name: str) -> str:
        """The name of a file in messages about it alone."""


@dataclass
class Folder:
    """A folder on disk.

    Attributes:
        root: the folder.
        outside: follow links that point outside the folder.
        only: the files of interest, if not all below the folder.
        links: links that were not followed; set once ``names`` was read.
        unreadable: folders that cannot be opened; set once ``names`` was read.
    """

    root: Path
    outside: bool = False
    only: Sequence[str] | None = None
    links: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        return str(self.root)

    @functools.cached_property
    def names(self) -> Sequence[str]:
        if self.only is not None:
            return self.only
        return sorted(path.relative_to(self.root).as_posix() for path in self._walk())

    def read(self, name: str, *, max_bytes: int = MOST_BYTES) -> bytes:
        path = self.root / name
        try:
            if not os.path.isfile(path):  # a pipe or device could be endless
                raise DataError("is not a file")
            if path.stat().st_size > max_bytes:
                raise DataError(f"is larger than {max_bytes:,} bytes")
            return path.read_bytes()
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read ({error})") from error

    def find(self, name: str, folder: str, *, outside: bool) -> str:
        base = self.root / folder
        path = find_file(name, base, outside=outside)
        return posixpath.normpath(posixpath.join(folder, os.path.relpath(path, base)))

    def where(self, name: str) -> tuple[str, int]:
        return str(self.root / name), 1

    def location(self, name: str) -> str:
        return str(self.root / name)

    def _walk(self) -> Iterator[Path]:
        """The files below the folder, without hidden ones; each linked folder once."""
        inside = os.path.realpath(self.root)
        followed: set[str] = set()

        def may_follow(path: Path) -> bool:
            target = os.path.realpath(path)
            if not os.path.exists(target):
                return False
            return self.outside or Path(target).is_relative_to(inside)

        def may_enter(path: Path) -> bool:
            target = os.path.realpath(path)
            above = Path(os.path.realpath(path.parent)).is_relative_to(target)
            if above or target in followed or not may_follow(path):
                return False
            followed.add(target)
            return True

        def note_unreadable(error: OSError) -> None:
            self.unreadable.append(str(error.filename))

        for folder, folders, files in os.walk(self.root, followlinks=True, onerror=note_unreadable):
            shown = sorted(item for item in folders if not is_hidden(item))
            folders[:] = [
                item
                for item in shown
                if not Path(folder, item).is_symlink() or may_enter(Path(folder, item))
            ]
            links = [Path(folder, item) for item in shown if item not in folders]
            for file in sorted(files):
                path = Path(folder, file)
                if is_hidden(file):
                    continue
                if path.is_symlink() and not may_follow(path):
                    links.append(path)
                elif os.path.isfile(path):
                    yield path
            self.links += [path.relative_to(self.root).as_posix() for path in links]


@dataclass
class Members:
    """The files of an opened archive.

    Attributes:
        source: the archive as given by the user.
        bytes_of: member -> its declared size in bytes.
        open_bytes: reads at most so many bytes of a member.
        refused: members that cannot be read, with the reason.
    """

    source: str
    bytes_of: Mapping[str, int]
    open_bytes: Callable[[str, int], bytes]
    refused: Mapping[str, str]

    @functools.cached_property
    def names(self) -> Sequence[str]:
        return sorted(self.bytes_of)

    def read(self, name: str, *, max_bytes: int = MOST_BYTES) -> bytes:
        if self.bytes_of[name] > max_bytes:
            raise DataError(f"is larger than {max_bytes:,} bytes")
        data = self.open_bytes(name, max_bytes + 1)
        if len(data) > max_bytes:  # more than its header declares
            raise DataError(f"is larger than {max_bytes:,} bytes")
        return data

    def find(self, name: str, folder: str, *, outside: bool) -> str:
        def place(spelling: str) -> str:
            return posixpath.normpath(posixpath.join(folder, spelling.replace("\\", "/")))

        found = match_spelling(name, lambda spelling: place(spelling) in self.bytes_of)
        path = place(name if found is None else found)
        if posixpath.isabs(path) or path.startswith(".."):
            raise DataError(f"{shorten(name)} is outside the archive")
        if not outside and folder and not path.startswith(f"{folder}/"):
            reason = f"{shorten(name)} is outside the table's folder; --outside allows it"
            raise DataError(reason)
        if found is None:
            raise DataError(f"there is no file {shorten(name)}")
        return path

    def where(self, name: str) -> tuple[str, int]:
        return self.source, self._lines[name]

    def location(self, name: str) -> str:
        return f"{self.source}/{name}"

    @functools.cached_property
    def _lines(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.names, 1)}


def is_hidden(part: str) -> bool:
    """Whether files with this name, or below such a folder, are hidden or system files."""
    return part.startswith(".") or part == "__MACOSX"


def leads_out(name: str) -> bool:
    """Whether a member's name points outside its archive."""
    parts = re.split(r"[/\\]", name)
    return ".." in parts or name.startswith(("/", "\\")) or bool(re.match(r"[A-Za-z]:", name))
