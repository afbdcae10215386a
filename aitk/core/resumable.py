"""A text file written piece by piece, which a later process can go on with.

It grows as ``NAME.part`` beside ``NAME.progress``, which says how many bytes of it count and what
they were made from; it gets its name when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aitk.core.errors import ArtifactError, UsageError
from aitk.core.files import check_free, part_of, write_json
from aitk.core.json_files import read_json


class ResumableFile:
    """One such file. ``done`` items are in it; ``notes`` are kept with them.

    Args:
        identity: names what the content is made from; a file of another identity is not resumed.
        resume: go on where the last whole piece ended; from the start if there is none.

    Raises:
        UsageError: the file is there already, or part of it is and ``resume`` was not said.
        ArtifactError: what is there was made from something else.
    """

    def __init__(self, path: Path, *, identity: str, resume: bool, overwrite: bool):
        check_free(path, overwrite=overwrite)
        self.path, self.part = path, part_of(path)
        self._progress = path.with_name(path.name + ".progress")
        self._identity, self._bytes = identity, 0
        self.done = 0
        self.notes: Mapping[str, Any] = {}
        if self.part.exists() and self._progress.exists() and not overwrite:
            if not resume:
                raise UsageError(
                    "an interrupted result is there",
                    where=str(self.part),
                    hint="Go on with --resume, or start anew with --overwrite",
                )
            self._load()
        self._file = self.part.open("r+b" if self._bytes else "wb", buffering=0)
        self._file.truncate(self._bytes)
        self._file.seek(self._bytes)

    def append(self, text: str, *, items: int, notes: Mapping[str, Any]) -> None:
        """Add a piece that makes ``items`` more items, and take note of it.

        Raises:
            UsageError: the disk is full, or fails.
        """
        content = memoryview(text.encode("utf-8", errors="replace"))
        try:
            while content:
                content = content[self._file.write(content) :]
            saved = {
                "identity": self._identity,
                "bytes": self._file.tell(),
                "done": self.done + items,
                "notes": dict(notes),
            }
            write_json(self._progress, saved)
        except OSError as error:
            raise UsageError(
                f"cannot be written to ({error.strerror})",
                where=str(self.part),
                hint="Make room, then repeat the command with --resume",
            ) from error
        self.done += items
        self.notes = notes

    def finish(self) -> None:
        """The file is whole: give it its name."""
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.part, self.path)
        self._progress.unlink(missing_ok=True)

    def leave(self) -> None:
        """Close a file that is not whole, and drop it if nothing of it counts."""
        self._file.close()
        if not self.done:
            self.part.unlink(missing_ok=True)
            self._progress.unlink(missing_ok=True)

    def _load(self) -> None:
        saved = read_json(self._progress)
        if saved.get("identity") != self._identity:
            raise ArtifactError(
                "was made from another run, other inputs or options",
                where=str(self.part),
                hint="Repeat its exact command with --resume, or start anew with --overwrite",
            )
        if self.part.stat().st_size < saved["bytes"]:
            raise ArtifactError(
                "is shorter than it was", where=str(self.part), hint="Start anew with --overwrite"
            )
        self._bytes, self.done, self.notes = saved["bytes"], saved["done"], saved["notes"]
