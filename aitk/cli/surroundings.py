"""The environment of a command: streams that may be closed, a folder that may be deleted.

It is checked and repaired first, so that later code need not check.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import TextIO

from aitk.core.contract.errors import UsageError


def open_streams() -> None:
    """Open closed standard streams on the null device; write UTF-8 to stdout.

    Otherwise a file opened later would get the number of a closed stream, and native code would
    write messages on descriptor 2 into it. ``sys.stdin`` and ``sys.stdout`` stay None if they were
    closed, since they cannot transfer data.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # In JSON, the escape of an unpaired surrogate is read back unchanged.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def close_broken(stream: TextIO) -> None:
    """Redirect a failed stream to the null device, so that its buffer cannot fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def check_current_folder() -> None:
    """Refuse to start in a deleted folder, where relative paths are invalid."""
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(
            f"the current folder cannot be used ({error.strerror})", hint="Change to another folder"
        ) from error


@contextlib.contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Create temporary files in a folder that is removed on exit.

    Libraries do not remove theirs after a failed write, on a full disk for instance.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="aitk-", ignore_cleanup_errors=True)
    except OSError as error:
        raise UsageError(
            f"cannot write temporary files ({error.strerror})",
            where=os.environ.get("TMPDIR"),
            hint="Free some space, or set TMPDIR to another folder",
        ) from error
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with folder as name:
        tempfile.tempdir = os.environ["TMPDIR"] = name
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            if before[1] is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before[1]
