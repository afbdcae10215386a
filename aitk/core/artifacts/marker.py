"""Markers of folders written by aitk, which also lock a folder against other processes.

Such a folder has a file ``.aitk`` with the folder's state. The writing process keeps that file
locked; the system releases the lock when the process ends for any reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aitk import __version__
from aitk.core.contract.errors import UsageError

MARKER = ".aitk"
#: States: a growing draft, a complete draft, a folder in place, and a folder to delete.
DRAFT, WHOLE, PLACED, RETIRED = "draft", "whole", "placed", "retired"

#: Written last into a run and into prepared data.
_MANIFESTS = ("run.json", "dataset.json")
_MAX_MANIFEST_BYTES = 256 << 20
#: A marker is rewritten in place with a single write, so a kill cannot truncate it.
_MARKER_BYTES = 128
_ATTEMPTS, _PAUSE_S = 5, 0.01


@dataclass(frozen=True)
class Marker:
    """The content of a folder's marker."""

    state: str
    pid: int


def read_marker(folder: Path) -> Marker | None:
    """The marker of a folder; None if there is none, or for a link to a folder."""
    if not is_folder(folder):
        return None
    try:
        descriptor = os.open(folder / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        return _parsed(file.read(_MARKER_BYTES))


def is_own(folder: Path) -> bool:
    """Whether aitk wrote this folder: it has a marker, or is a run or prepared data."""
    return read_marker(folder) is not None or has_manifest(folder)


def has_manifest(folder: Path) -> bool:
    """Whether a folder is a complete run or complete prepared data."""
    return any(_is_manifest(folder / name) for name in _MANIFESTS)


def is_empty(folder: Path) -> bool:
    """Whether a folder has at most an empty marker left by a kill."""
    if not is_folder(folder):
        return False
    with os.scandir(folder) as entries:
        return all(entry.name == MARKER and not entry.stat().st_size for entry in entries)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def locked(folder: Path, *, state: str, out: Path) -> Iterator[int]:
    """Mark and lock a folder until the block ends.

    Args:
        out: the target of the folder, as given by the user.

    Returns:
        The file descriptor of the marker, for ``set_state``.

    Raises:
        UsageError: another process has the lock.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(folder / MARKER, flags, 0o666)
    try:
        lock_file(descriptor, folder / MARKER, out=out)
        set_state(descriptor, state)
        yield descriptor
    finally:
        os.close(descriptor)


def set_state(descriptor: int, state: str) -> None:
    """Rewrite a marker."""
    text = json.dumps({"aitk": __version__, "state": state, "pid": os.getpid()})
    os.pwrite(descriptor, text.ljust(_MARKER_BYTES - 1).encode() + b"\n", 0)


def mark(folder: Path, state: str) -> None:
    """Mark a folder that no process is writing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(folder / MARKER, flags, 0o666)
    try:
        set_state(descriptor, state)
    finally:
        os.close(descriptor)


def lock_file(descriptor: int, path: Path, *, out: Path) -> None:
    """Lock an open file.

    Raises:
        UsageError: another process has the lock, or has just moved the file.
    """
    for attempt in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if attempt == _ATTEMPTS - 1:
                raise _busy(out, _pid(descriptor)) from None
            time.sleep(_PAUSE_S)  # ``lock_holder`` may hold it briefly
        except OSError:
            return  # some network file systems have no locks
    try:
        own, there = os.fstat(descriptor), os.lstat(path)
    except FileNotFoundError:
        raise _busy(out, None) from None
    if not os.path.samestat(own, there):
        raise _busy(out, None)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait for exclusive access to a parent folder, for a short change of a folder in place."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> int | None:
    """The process that locks a file (0 if it has not recorded its id yet), or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(descriptor) or 0
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _busy(out: Path, pid: int | None) -> UsageError:
    who = f"process {pid}" if pid else "another process"
    return UsageError(
        f"{who} is writing it",
        where=str(out),
        hint="Wait until it has ended, or choose another --out",
    )


def _pid(descriptor: int) -> int | None:
    """The process id in the first line of a locked file."""
    try:
        return int(json.loads(os.pread(descriptor, 4096, 0).partition(b"\n")[0])["pid"])
    except (ValueError, KeyError, TypeError, OSError):
        return None


def _parsed(content: bytes) -> Marker | None:
    try:
        value = json.loads(content)
        if isinstance(value["aitk"], str):
            return Marker(str(value["state"]), int(value["pid"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _is_manifest(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_MANIFEST_BYTES:
            return False
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    kinds = {"aitk": str, "task": str, "version": int}
    return all(isinstance(value.get(name), kind) for name, kind in kinds.items())
