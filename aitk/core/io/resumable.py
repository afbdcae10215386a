"""A file written piece by piece, which a later process can resume.

It grows as ``NAME.part`` next to ``NAME.progress``, which has a line of JSON per piece: the number
of valid bytes, and in the first line the identity of the inputs. The writing process locks
``NAME.progress``. The file is renamed when complete.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from aitk import __version__
from aitk.core.artifacts.marker import lock_file, lock_holder
from aitk.core.artifacts.targets import (
    Named,
    appeared,
    check_file,
    in_the_way,
    part_of,
    progress_of,
)
from aitk.core.contract.errors import ArtifactError, UsageError, unwritable
from aitk.core.io.files import missing_parents, remove_empty
from aitk.core.io.json_files import Count, Size, check_shape

_FIRST = b'{"aitk": '
_MAX_PROGRESS_BYTES, _MAX_LINE_BYTES = 256 << 20, 1 << 16

#: The shape of the progress of an incomplete file.
PROGRESS = {"identity": str, "bytes": Count, "done": Size, "notes": dict}


class ResumableFile:
    """A resumable file. ``done`` is the number of items in it; ``notes`` are stored with them.

    Args:
        identity: identifies the inputs; a file with another identity is not resumed.
        resume: continue after the last complete piece; from the start if there is none. inputs,
            options, overwrite, is_own: see ``targets.check_file``.

    Raises:
        UsageError: the file or a part of it already exists and ``resume`` is off; it cannot be
            written, or another process is writing it.
        ArtifactError: the existing part has other inputs.
    """

    def __init__(
        self,
        path: Path,
        *,
        identity: str,
        resume: bool,
        overwrite: bool,
        inputs: Named = (),
        options: Any = None,
        is_own: Callable[[Path], bool] = lambda path: False,
    ):
        self.path, self.part, self._progress_path = path, part_of(path), progress_of(path)
        self._identity, self._bytes = identity, 0
        self.done = 0
        self.notes: Mapping[str, Any] = {}
        _drop_finished(path)
        check_file(path, inputs=inputs, options=options, overwrite=overwrite, is_own=is_own)
        self._replaces = os.path.lexists(path)
        _check_leftovers(path)
        try:
            self._open(resume=resume, overwrite=overwrite)
        except OSError as error:
            raise unwritable(error, path.parent) from error

    def append(self, text: str | bytes, *, items: int, notes: Mapping[str, Any]) -> None:
        """Append a piece with ``items`` more items, and record it.

        Raises:
            UsageError: the disk is full or fails.
        """
        try:
            if isinstance(text, str):
                text = text.encode("utf-8", errors="backslashreplace")
            _write(self._file, text)
            self._note(bytes=self._file.tell(), done=self.done + items, notes=dict(notes))
        except OSError as error:
            raise unwritable(
                error, self.part, hint="Free some space, then repeat the command with --resume"
            ) from error
        self.done += items
        self.notes = notes

    def rewrite_head(self, content: bytes) -> None:
        """Replace the first bytes, once the rest is complete."""
        end = self._file.tell()
        self._file.seek(0)
        _write(self._file, content)
        self._file.seek(end)

    def finish(self) -> None:
        """Rename the complete file.

        Raises:
            UsageError: a file with that name was created in the meantime.
        """
        if os.path.lexists(self.path) and not self._replaces:
            raise appeared(self.path, self.part)
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.part, self.path)
        self._progress_path.unlink(missing_ok=True)
        self._progress.close()

    def leave(self) -> None:
        """Close an incomplete file, and delete it if it has no complete piece."""
        if self._progress.closed:
            return
        self._file.close()
        if not self.done:
            self.part.unlink(missing_ok=True)
            self._progress_path.unlink(missing_ok=True)
            remove_empty(self._made)
        self._progress.close()

    def _open(self, *, resume: bool, overwrite: bool) -> None:
        self._made = missing_parents(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._progress = _opened(self._progress_path, os.O_CREAT)
        try:
            lock_file(self._progress.fileno(), self._progress_path, out=self.path)
            saved = _read_progress(self._progress)
            if saved.get("done") and self.part.exists() and not overwrite:
                if not resume:
                    raise UsageError(
                        "an interrupted result exists",
                        where=str(self.part),
                        hint="Continue with --resume, or start again with --overwrite",
                    )
                self._go_on(saved)
            else:
                self._start()
        except BaseException:
            self._progress.close()
            raise

    def _start(self) -> None:
        self.part.unlink(missing_ok=True)
        self._progress.truncate(0)
        self._progress.seek(0)
        try:
            self._note(identity=self._identity)
            self._file = _opened(self.part, os.O_CREAT | os.O_EXCL)
        except OSError:  # the disk is full
            self._progress_path.unlink(missing_ok=True)
            raise

    def _go_on(self, saved: Mapping[str, Any]) -> None:
        check_shape(saved, PROGRESS, where=str(self._progress_path))
        if saved["identity"] != self._identity:
            raise ArtifactError(
                "was made from another run, other inputs or options",
                where=str(self.part),
                hint="Repeat its exact command with --resume, or start again with --overwrite",
            )
        if self.part.stat().st_size < saved["bytes"]:
            raise ArtifactError(
                "is shorter than recorded",
                where=str(self.part),
                hint="Start again with --overwrite",
            )
        self.done, self.notes = saved["done"], saved["notes"]
        self._file = _opened(self.part, 0)
        self._file.truncate(saved["bytes"])
        self._file.seek(saved["bytes"])
        self._note()

    def _note(self, **facts: Any) -> None:
        """Add a line to the progress; the first marks it as aitk's, and each names its process."""
        line = {"aitk": __version__, "pid": os.getpid()} | facts
        _write(self._progress, json.dumps(line).encode() + b"\n")


def _write(file: FileIO, content: bytes) -> None:
    """Write all of it, or raise ``OSError``."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _opened(path: Path, flags: int) -> FileIO:
    """Open a file for reading and writing, never through a link."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | flags, 0o666)
    return FileIO(descriptor, "r+b")


def _read_progress(file: FileIO) -> dict[str, Any]:
    """All recorded facts, later ones overriding; a truncated line is removed."""
    file.seek(0)
    saved: dict[str, Any] = {}
    whole = 0
    # Only as much as exists: ``read`` allocates the requested size.
    size = min(os.fstat(file.fileno()).st_size, _MAX_PROGRESS_BYTES)
    for line in file.read(size).splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            saved |= dict(json.loads(line))
        except (ValueError, TypeError, RecursionError):
            break
        whole += len(line)
    file.truncate(whole)
    file.seek(whole)
    return saved


def _check_leftovers(path: Path) -> None:
    """Refuse foreign files at the path of the draft."""
    part, progress = part_of(path), progress_of(path)
    begun = _begun(progress)
    if begun is None:
        raise in_the_way(progress)
    if os.path.lexists(part) and not (begun and _is_regular(part)):
        raise in_the_way(part)


def _drop_finished(path: Path) -> None:
    """Delete the progress of a file that was renamed just before its process was killed."""
    progress = progress_of(path)
    is_whole = os.path.isfile(path) and not os.path.lexists(part_of(path))
    if is_whole and _begun(progress) and lock_holder(progress) is None:
        progress.unlink(missing_ok=True)


def _begun(progress: Path) -> bool | None:
    """Whether a progress file is aitk's; False if there is none, None if it is the user's."""
    if not os.path.lexists(progress):
        return False
    if not _is_regular(progress):
        return None
    with progress.open("rb") as file:
        line = file.readline(_MAX_LINE_BYTES)
    if _FIRST.startswith(line) or (line.startswith(_FIRST) and not line.endswith(b"\n")):
        return False  # a kill truncated the first line: there is no draft yet
    try:
        return "identity" in json.loads(line) or None
    except (ValueError, TypeError, RecursionError):
        return None


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)
