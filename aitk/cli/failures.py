"""Converts every exception that ends a command to one line and an exit code."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

import typer

from aitk.core.contract.errors import AitkError, Interrupted, TrainingError, UsageError

RESUME = "Repeat the command with --resume to continue, or with --overwrite to start again"


_MAKE_ROOM = "Free some space, or choose an --out on another disk"
#: Messages of libraries about a full disk or file: they wrap the system's error.
_FULL = {
    errno.ENOSPC: ("the disk is full", _MAKE_ROOM),
    errno.EDQUOT: ("the disk quota is used up", _MAKE_ROOM),
    errno.EFBIG: ("a file has reached the largest size allowed", "Raise it with ulimit -f"),
}
#: Errors about the location of a file; any other ``OSError`` is a bug.
_PLACE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE,
    errno.ENOTEMPTY, errno.EEXIST, errno.ENODEV, errno.ENXIO, errno.EBUSY, errno.ETXTBSY,
}  # fmt: skip


class Bug(AitkError):
    """An error that the user did not cause."""

    exit_code = 1


def as_failure(error: BaseException) -> AitkError:
    """Describe an exception to the user in one line."""
    if isinstance(error, AitkError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(error, BrokenPipeError):
        return Interrupted("the reader of stdout has closed it")
    if isinstance(error, typer.TyperException) and error.exit_code == 2:
        return UsageError(error.format_message().strip().rstrip("."), hint="See --help")
    if full := _full(error):
        description, hint = full
        return UsageError(description, where=_place(error), hint=hint)
    if isinstance(error, OSError) and error.errno in _PLACE:
        reason, hint = os.strerror(error.errno).lower(), "Check the path, then try again"
        if error.errno == errno.EMFILE:
            hint = "Raise the limit with ulimit -n"
        return UsageError(reason, where=_place(error), hint=hint)
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return TrainingError(
            "out of memory",
            hint="Try a smaller --batch-size (--accumulate keeps the step the same) or model",
        )
    return Bug(
        f"this is a bug in aitk: {type(error).__name__}: {error}",
        where=_last_place(error),
        hint="AITK_DEBUG=1 shows the traceback; please report it with the output of `aitk doctor`",
    )


def _full(error: BaseException) -> tuple[str, str] | None:
    """Why writing failed; if a library wrapped the error, from its message."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return _FULL[error.errno]
    text = str(error)
    return next((reason for code, reason in _FULL.items() if os.strerror(code) in text), None)


def _place(error: BaseException) -> str | None:
    """The file that the system refused."""
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None


def _last_place(error: BaseException) -> str | None:
    """The last line of aitk's code in the traceback."""
    package = Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(package):
            return f"{Path(frame.filename).relative_to(package.parent)}:{frame.lineno}"
    return None
