"""What ``--out`` may be: checked once, in one place, before any work.

A name that cannot be written is refused, and so is whatever would destroy the user's own: the
input, what holds it, the current folder, and anything that aitk did not write.
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

#: What aitk appends to a name while it writes.
PART, OLD, PROGRESS, TRIALS = ".part", ".old", ".progress", ".trials"

_NAME_BYTES, _PATH_BYTES = 255, 4096
#: Kept free for the names of files inside of a folder.
_INNER_BYTES = 512

Named = Iterable[str | Path | None]
#: Device and number of a file: equal for all ways that lead to it.
Place = tuple[int, int]
Places = set[Place]


def part_of(out: Path) -> Path:
    """Where ``out`` is written until it is whole."""
    return out.parent / (out.name + PART)


def old_of(out: Path) -> Path:
    """Where the folder that ``out`` replaces is until it is deleted."""
    return out.parent / (out.name + OLD)


def progress_of(out: Path) -> Path:
    """What tells how far the file ``out`` is, while it is being written."""
    return out.parent / (out.name + PROGRESS)


def trials_of(out: Path) -> Path:
    """Where the trainings that ``out`` is chosen from are."""
    return out.parent / (out.name + TRIALS)


def check_folder(
    out: Path, *, inputs: Named = (), options: Any = None, overwrite: bool = False
) -> None:
    """Refuse a folder that cannot be written, or must not be.

    Args:
        inputs: what the command reads; names of something else than files are passed over.
        options: what else may name files: a text, or texts in mappings, lists and dataclasses.
        overwrite: what aitk wrote may be replaced.

    Raises:
        UsageError: says why.
    """
    if is_stdout(str(out)):
        raise UsageError("is stdout, and a folder is due", where=str(out), hint=_ANOTHER)
    _check_name(out)
    check_text(out)
    _check_inputs(out, inputs, options)
    if os.path.lexists(out):
        if not out.is_dir():
            raise UsageError("is a file, and a folder is due", where=str(out), hint=_ANOTHER)
        if not overwrite:
            raise _exists(out)
        if os.path.ismount(out):
            hint = "Name a folder inside of it"
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
    """Refuse a file that cannot be written, or must not be. See ``check_folder``.

    Args:
        is_own: whether the content of a file is such as aitk writes there.
    """
    _check_name(out)
    _check_inputs(out, inputs, options)
    if os.path.lexists(out):
        if out.is_dir():
            raise UsageError("is a folder, and a file is due", where=str(out), hint=_ANOTHER)
        if not out.is_file():
            raise UsageError("is no regular file", where=str(out), hint=_ANOTHER)
        if not overwrite:
            raise _exists(out)
        if out.stat().st_size and not is_own(out):
            raise _foreign(out)


def check_leftover(path: Path, *, states: tuple[str, ...]) -> None:
    """Refuse to go on where a folder of this name is none that aitk left behind.

    Args:
        states: those in which aitk leaves it.
    """
    if not os.path.lexists(path):
        return
    marker = read_marker(path)
    if not (marker and marker.state in states) and not is_empty(path):
        raise in_the_way(path)


def may_replace(out: Path) -> bool:
    """Whether ``--overwrite`` may replace what is there: a folder of aitk's, or an empty one."""
    return is_folder(out) and (is_own(out) or is_empty(out))


def appeared(out: Path, part: Path) -> UsageError:
    """What is said where the user has made something of the target's name meanwhile."""
    return UsageError(
        "was not there when the work began",
        where=str(out),
        hint=f"Rename it, then {part} to {out.name}: the result is in there",
    )


def in_the_way(path: Path) -> UsageError:
    """What is said of something that aitk did not make where it writes its draft."""
    return UsageError(
        "is in the way, and aitk did not make it",
        where=str(path),
        hint="Rename it, or choose another --out",
    )


def is_stdout(out: str) -> bool:
    """Whether a name stands for stdout."""
    return out in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_stream(out: Path) -> bool:
    """Whether it is a device or a pipe: written as it is, never replaced."""
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
        "was not written by aitk: --overwrite leaves it alone",
        where=str(out),
        hint=f"{_ANOTHER}, or delete it yourself",
    )


def _check_name(out: Path) -> None:
    """Refuse names that cannot be, and the current folder with all that holds it."""
    text = os.fspath(out)
    where = text or "--out"
    if "\0" in text:
        raise UsageError("holds a NUL character", where=where, hint=_ANOTHER)
    absolute = os.path.abspath(out)
    parts = [out.name + more for more in (PART, OLD, PROGRESS, TRIALS)]
    longest = max(len(os.fsencode(part)) for part in (*Path(absolute).parts, *parts))
    if longest > _NAME_BYTES or len(os.fsencode(absolute)) > _PATH_BYTES - _INNER_BYTES:
        raise UsageError("is too long a name", where=f"{text[:40]}...", hint="Choose a shorter one")
    current = _place(Path.cwd())
    if _place(out) in (current, *_above(Path.cwd())) or Path(absolute).name == "":
        raise UsageError("is the current folder, or holds it", where=where, hint=_ANOTHER)
    if out.name in ("", ".."):
        raise UsageError("names nothing of its own", where=where, hint=_ANOTHER)
    if out.suffix in (PART, OLD, PROGRESS, TRIALS):
        hint = f"{_ANOTHER}: aitk calls its drafts so"
        raise UsageError(f"ends in {out.suffix}", where=where, hint=hint)
    if os.path.islink(out):
        raise UsageError("is a symbolic link", where=where, hint="Name what it points to")


def _check_inputs(out: Path, inputs: Named, options: Any) -> None:
    """Refuse what is an input, holds one, or lies inside of one."""
    written = {
        place: path
        for path in (out, part_of(out), old_of(out), progress_of(out))
        if (place := _place(path)) is not None
    }
    above = _above(out)
    holding: dict[Path, Places] = {}  # of many files most lie in one folder
    for name, is_input in [*((name, True) for name in inputs), *_named_files(options)]:
        if not name or name == "-":
            continue
        path = Path(name)
        place = _place(path)
        if place in written:
            what = "is the input" if is_input else "is read, too"
            raise UsageError(what, where=str(written[place]), hint=_ANOTHER)
        if path.parent not in holding:
            holding[path.parent] = _above(path.parent / "any")
        behind_link = _above(path) if os.path.islink(path) else set()
        for each in (holding[path.parent] | behind_link) & written.keys():
            raise UsageError(f"holds {name}", where=str(written[each]), hint=_ANOTHER)
        if is_input and place in above:
            raise UsageError(f"lies inside the input {name}", where=str(out), hint=_ANOTHER)


def _place(path: Path) -> Place | None:
    """The file that a path leads to; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _above(path: Path) -> Places:
    """The folders that hold a path, which may itself not be there yet."""
    try:
        parents = path.resolve().parents
    except (OSError, ValueError, RuntimeError):
        return set()
    return {place for parent in parents if (place := _place(parent)) is not None}


def _named_files(value: Any) -> Iterator[tuple[str, bool]]:
    """Texts among options, any of which may name a file."""
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
