"""Checks of ``--out``, once and in one place, before any work.

Unwritable names are refused, and so is anything that would destroy the user's files: the input, its
parents, the current folder, and anything not written by aitk.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aitk.core.artifacts.marker import (
    DRAFT,
    RETIRED,
    WHOLE,
    is_empty,
    is_folder,
    is_own,
    read_marker,
)
from aitk.core.contract.errors import UsageError
from aitk.core.io.names import check_text

#: Suffixes that aitk appends to a name while it writes.
PART, OLD, PROGRESS, TRIALS = ".part", ".old", ".progress", ".trials"

_NAME_BYTES, _PATH_BYTES = 255, 4096
#: Reserved for the names of files inside a folder.
_INNER_BYTES = 512

Named = Iterable[str | Path | None]
#: Device and inode of a file: equal for all paths to it.
Place = tuple[int, int]
Places = set[Place]


def part_of(out: Path) -> Path:
    """The path at which ``out`` is written until complete."""
    return out.parent / (out.name + PART)


def old_of(out: Path) -> Path:
    """The path of the folder that ``out`` replaces, until it is deleted."""
    return out.parent / (out.name + OLD)


def progress_of(out: Path) -> Path:
    """The progress file of the file ``out`` while it is written."""
    return out.parent / (out.name + PROGRESS)


def trials_of(out: Path) -> Path:
    """The folder of the trainings from which ``out`` is selected."""
    return out.parent / (out.name + TRIALS)


def check_folder(
    out: Path, *, inputs: Named = (), options: Any = None, overwrite: bool = False
) -> None:
    """Refuse a folder that cannot or must not be written.

    Args:
        inputs: inputs of the command; names of other things than files are ignored.
        options: other values that may name files: a text, or texts in mappings, lists, dataclasses.
        overwrite: content written by aitk may be replaced.

    Raises:
        UsageError: the folder is refused, with the reason.
    """
    if is_stdout(str(out)):
        raise UsageError("is stdout, not a folder", where=str(out), hint=_ANOTHER)
    _check_name(out)
    check_text(out)
    _check_inputs(out, inputs, options)
    if os.path.lexists(out):
        if not out.is_dir():
            raise UsageError("is a file, not a folder", where=str(out), hint=_ANOTHER)
        if not overwrite:
            raise _exists(out)
        if os.path.ismount(out):
            hint = "Use a folder inside it"
            raise UsageError("is a mount point: it cannot be replaced", where=str(out), hint=hint)
        if not may_replace(out):
            raise _foreign(out)
        check_leftover(old_of(out), states=(RETIRED,))
    check_leftover(part_of(out), states=(DRAFT, WHOLE))


def check_file(
    out: Path,
    *,
    inputs: Named = (),
    options: Any = None,
    overwrite: bool = False,
    is_own: Callable[[Path], bool],
) -> None:
    """Refuse a file that cannot or must not be written. See ``check_folder``.

    Args:
        is_own: whether a file has content as written by aitk.
    """
    _check_name(out)
    _check_inputs(out, inputs, options)
    if os.path.lexists(out):
        if out.is_dir():
            raise UsageError("is a folder, not a file", where=str(out), hint=_ANOTHER)
        if not out.is_file():
            raise UsageError("is not a regular file", where=str(out), hint=_ANOTHER)
        if not overwrite:
            raise _exists(out)
        if out.stat().st_size and not is_own(out):
            raise _foreign(out)


def check_leftover(path: Path, *, states: tuple[str, ...]) -> None:
    """Refuse to continue if a folder of this name was not left by aitk.

    Args:
        states: states in which aitk may have left it.
    """
    if not os.path.lexists(path):
        return
    marker = read_marker(path)
    if not (marker and marker.state in states) and not is_empty(path):
        raise in_the_way(path)


def may_replace(out: Path) -> bool:
    """Whether ``--overwrite`` may replace a folder: one written by aitk, or an empty one."""
    return is_folder(out) and (is_own(out) or is_empty(out))


def appeared(out: Path, part: Path) -> UsageError:
    """The error for a target name that the user created in the meantime."""
    return UsageError(
        "was created by someone else in the meantime",
        where=str(out),
        hint=f"Rename it, then rename {part} to {out.name}, which has the result",
    )


def in_the_way(path: Path) -> UsageError:
    """The error for foreign content at the path of a draft."""
    return UsageError(
        "is in the way, and was not written by aitk",
        where=str(path),
        hint="Rename it, or choose another --out",
    )


def is_stdout(out: str) -> bool:
    """Whether a name means stdout."""
    return out in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stream(out: Path) -> bool:
    """Whether a path is a device or a pipe: written directly, never replaced."""
    try:
        mode = os.stat(out).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


_ANOTHER = "Choose another --out"


def _exists(out: Path) -> UsageError:
    hint = f"{_ANOTHER}, or add --overwrite"
    return UsageError("exists already", where=str(out), hint=hint)


def _foreign(out: Path) -> UsageError:
    return UsageError(
        "was not written by aitk: --overwrite does not replace it",
        where=str(out),
        hint=f"{_ANOTHER}, or delete it yourself",
    )


def _check_name(out: Path) -> None:
    """Refuse invalid names, and the current folder with its parents."""
    text = os.fspath(out)
    where = text or "--out"
    if "\0" in text:
        raise UsageError("contains a NUL character", where=where, hint=_ANOTHER)
    absolute = os.path.abspath(out)
    parts = [out.name + more for more in (PART, OLD, PROGRESS, TRIALS)]
    longest = max(len(os.fsencode(part)) for part in (*Path(absolute).parts, *parts))
    if longest > _NAME_BYTES or len(os.fsencode(absolute)) > _PATH_BYTES - _INNER_BYTES:
        raise UsageError("is too long", where=f"{text[:40]}...", hint="Choose a shorter name")
    current = _place(Path.cwd())
    if _place(out) in (current, *_above(Path.cwd())) or Path(absolute).name == "":
        raise UsageError("is the current folder, or contains it", where=where, hint=_ANOTHER)
    if out.name in ("", ".."):
        raise UsageError("is not a name of its own", where=where, hint=_ANOTHER)
    if out.suffix in (PART, OLD, PROGRESS, TRIALS):
        hint = f"{_ANOTHER}: aitk uses it for drafts"
        raise UsageError(f"ends in {out.suffix}", where=where, hint=hint)
    if os.path.islink(out):
        raise UsageError("is a symbolic link", where=where, hint="Use its target")


def _check_inputs(out: Path, inputs: Named, options: Any) -> None:
    """Refuse a target that is an input, contains one, or is inside one."""
    written = {
        place: path
        for path in (out, part_of(out), old_of(out), progress_of(out))
        if (place := _place(path)) is not None
    }
    above = _above(out)
    holding: dict[Path, Places] = {}  # most files are in the same folder
    for name, is_input in [*((name, True) for name in inputs), *_named_files(options)]:
        if not name or name == "-":
            continue
        path = Path(name)
        place = _place(path)
        if place in written:
            what = "is the input" if is_input else "is also read"
            raise UsageError(what, where=str(written[place]), hint=_ANOTHER)
        if path.parent not in holding:
            holding[path.parent] = _above(path.parent / "any")
        behind_link = _above(path) if os.path.islink(path) else set()
        for each in (holding[path.parent] | behind_link) & written.keys():
            raise UsageError(f"contains {name}", where=str(written[each]), hint=_ANOTHER)
        if is_input and place in above:
            raise UsageError(f"is inside the input {name}", where=str(out), hint=_ANOTHER)


def _place(path: Path) -> Place | None:
    """The file that a path refers to, or None."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _above(path: Path) -> Places:
    """The parent folders of a path, which may not exist yet."""
    try:
        parents = path.resolve().parents
    except (OSError, ValueError, RuntimeError):
        return set()
    return {place for parent in parents if (place := _place(parent)) is not None}


def _named_files(value: Any) -> Iterator[tuple[str, bool]]:
    """All texts among options that may name a file."""
    if isinstance(value, str | Path):
        yield str(value), False
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _named_files(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _named_files(each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _named_files(getattr(value, field.name))
