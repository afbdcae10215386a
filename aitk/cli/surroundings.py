"""What a command is started in: streams that may be closed, a folder that may be gone.

It is put in order before anything else is done, so that no later code has to ask.
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
    """Open what is closed of stdin, stdout and stderr on the null device; write UTF-8 to stdout.

    A file opened later would get the number of a closed stream, and what native code says on
    descriptor 2 would end up in it. ``sys.stdin`` and ``sys.stdout`` stay None where they were
    closed, since data cannot come from there, nor go there.
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
        # In JSON, the escape of half a character pair reads back as what it was.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def close_broken(stream: TextIO) -> None:
    """Send a stream that failed to the null device: what its buffer holds must not fail again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def check_current_folder() -> None:
    """Refuse to start in a folder that has been deleted: no relative path means anything there."""
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(
            f"the current folder cannot be used ({error.strerror})", hint="Change to another one"
        ) from error


@contextlib.contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Keep temporary files in a folder that is removed at the end.

    Libraries leave theirs behind when a write fails, on a full disk for instance.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="aitk-", ignore_cleanup_errors=True)
    except OSError as error:
        raise UsageError(
            f"no temporary file can be written ({error.strerror})",
            where=os.environ.get("TMPDIR"),
            hint="Free some space, or name another folder in TMPDIR",
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
