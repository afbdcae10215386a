"""Whatever ends a command early becomes one line and an exit code."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

import typer

from aitk.core.errors import AitkError, Interrupted, TrainingError, UsageError

RESUME = "Repeat the command with --resume to go on, or with --overwrite to start anew"


class Bug(AitkError):
    """Something that is no fault of the person using aitk."""

    exit_code = 1


def as_failure(error: BaseException) -> AitkError:
    """Say in one line what an exception means to the person at the terminal."""
    if isinstance(error, AitkError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(error, BrokenPipeError):
        return Interrupted("the reader of stdout has gone")
    if isinstance(error, typer.TyperException) and error.exit_code == 2:
        return UsageError(error.format_message().strip().rstrip("."), hint="See --help")
    if _is_full_disk(error):
        return UsageError(
            "the disk is full",
            where=getattr(error, "filename", None),
            hint="Free some space, or choose an --out on another disk",
        )
    if isinstance(error, PermissionError):
        return UsageError("permission denied", where=str(error.filename or "file"))
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return TrainingError(
            "out of memory",
            hint="Try a smaller --batch-size (--accumulate keeps the step the same) or model",
        )
    return Bug(
        f"this is a bug in aitk: {type(error).__name__}: {error}",
        where=_last_place(error),
        hint="AITK_DEBUG=1 shows the traceback; please report it with what `aitk doctor` says",
    )


def _is_full_disk(error: BaseException) -> bool:
    """Libraries wrap the system's error in their own: its words are what is left of it."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or "No space left on device" in str(error)


def _last_place(error: BaseException) -> str | None:
    """The last line of aitk's own that the exception came through."""
    package = Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(package):
            return f"{Path(frame.filename).relative_to(package.parent)}:{frame.lineno}"
    return None
