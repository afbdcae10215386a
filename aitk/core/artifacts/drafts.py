"""Folders that are whole or absent.

``NAME`` grows as ``NAME.part`` and is renamed last; a folder that it replaces is called
``NAME.old`` until it is deleted. What a kill leaves between these steps is put right by
``recover``, which every command calls before it writes ``NAME`` or misses it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aitk.core.artifacts.marker import (
    DRAFT,
    MARKER,
    PLACED,
    RETIRED,
    WHOLE,
    is_folder,
    lock_holder,
    locked,
    mark,
    read_marker,
    set_state,
)
from aitk.core.artifacts.targets import (
    Named,
    appeared,
    check_folder,
    check_leftover,
    in_the_way,
    may_replace,
    old_of,
    part_of,
    progress_of,
    trials_of,
)
from aitk.core.contract.errors import ArtifactError, UsageError, unwritable
from aitk.core.io.files import missing_parents, remove_empty

#: The folder inside a draft that holds what it can be gone on with.
STATE = "state"


@contextlib.contextmanager
def draft_folder(
    out: Path,
    *,
    inputs: Named = (),
    options: Any = None,
    overwrite: bool = False,
    resume: bool = False,
    keep: Callable[[Path], bool] = lambda draft: False,
    marked: bool = True,
) -> Iterator[Path]:
    """Fill ``NAME.part``, which gets its name when the block ends well.

    On an error the draft is deleted, unless ``keep`` says that it can be gone on with.

    Args:
        inputs, options, overwrite: see ``targets.check_folder``.
        resume: go on with the draft that is there.
        marked: the folder stays one that ``overwrite`` may replace. Not so a project, which the
            user fills.

    Raises:
        UsageError: it cannot be written, or another process is writing it.
        ArtifactError: there is nothing to resume.
    """
    part = part_of(out)
    if not (resume and keep(part)):
        recover(out)
    check_folder(out, inputs=inputs, options=options, overwrite=overwrite)
    with _opened_draft(part, out) as marker:
        try:
            found = keep(part)
            if resume and not found:
                hint = "Repeat it without --resume"
                raise ArtifactError("nothing to resume", where=str(part), hint=hint)
            if found and not resume and not overwrite:
                raise UsageError(
                    "an interrupted result is there",
                    where=str(part),
                    hint="Go on with --resume, or start anew with --overwrite",
                )
            if not resume:
                empty(part)
            yield part
            if os.path.lexists(out) and not (overwrite and may_replace(out)):
                keep = _always  # it may have cost hours
                raise appeared(out, part)
            if not marked:
                (part / MARKER).unlink()
            set_state(marker, WHOLE)
            _put_in_place(part, out)
            set_state(marker, PLACED)
        except BaseException:
            if is_folder(part) and not keep(part):
                with contextlib.suppress(OSError):  # what is told is the first failure
                    delete(part)
            raise


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Write into a folder itself, marked as aitk's, where parts of it are of use by themselves.

    What it holds stays.

    Raises:
        UsageError: it holds something, and aitk did not make it; or another process writes it.
    """
    check_leftover(folder, states=(DRAFT, PLACED))
    with _opened_draft(folder, folder) as marker:
        yield
        set_state(marker, PLACED)


def recover(out: Path) -> None:
    """Finish, or undo, what a killed process left of the replacement of ``out``."""
    if not out.name:
        return
    part, old = part_of(out), old_of(out)
    left, retired = read_marker(part), read_marker(old)
    if writer_of(out) is not None:
        return
    if not os.path.lexists(out):
        if left and left.state == WHOLE:
            _drop_state(part)
            os.replace(part, out)
            mark(out, PLACED)
        elif retired and retired.state == RETIRED:
            os.replace(old, out)
            mark(out, PLACED)
    if os.path.lexists(out):
        _discard_retired(old)


def writer_of(out: Path) -> int | None:
    """The process that is writing the folder or file ``out`` just now, None if none is.

    A process that has not yet said its number counts as 0.
    """
    places = (part_of(out) / MARKER, progress_of(out), trials_of(out) / MARKER, out / MARKER)
    return next((pid for each in places if (pid := lock_holder(each)) is not None), None)


def missing_hint(out: Path, *, resumable: bool = False) -> str | None:
    """What to do about a folder that is not there; None where nobody ever began it.

    Args:
        resumable: whether its draft can be gone on with.
    """
    writer = writer_of(out)
    if writer is not None:
        who = f"process {writer}" if writer else "another process"
        return f"It is being made by {who}: wait until it is whole"
    if resumable or read_marker(trials_of(out)):
        return "It was interrupted: repeat its command with --resume"
    return "It was interrupted: repeat its command" if read_marker(part_of(out)) else None


def discard(folder: Path) -> None:
    """Delete a folder if aitk made it."""
    if read_marker(folder):
        delete(folder)


def delete(folder: Path) -> None:
    """Delete a folder, its marker last, so that what a kill leaves of it is known as aitk's."""
    empty(folder)
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()


def empty(folder: Path) -> None:
    """Delete what a folder holds, but for its marker."""
    for entry in list(os.scandir(folder)):
        if entry.name == MARKER:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _always(part: Path) -> bool:
    return True


def _put_in_place(part: Path, out: Path) -> None:
    """Give a whole draft its name, in the place of the folder that has it now."""
    old = old_of(out)
    _drop_state(part)
    if not is_folder(out):
        os.replace(part, out)
        _discard_retired(old)
        return
    check_leftover(old, states=(RETIRED,))
    _discard_retired(old)
    mark(out, RETIRED)
    try:
        os.replace(out, old)
        os.replace(part, out)
    except BaseException:
        if not os.path.lexists(out) and is_folder(old):
            os.replace(old, out)
        raise
    delete(old)


def _drop_state(part: Path) -> None:
    """Delete what a draft would be gone on with: it is whole."""
    state = part / STATE
    if is_folder(state):
        shutil.rmtree(state)


def _discard_retired(old: Path) -> None:
    marker = read_marker(old)
    if marker and marker.state == RETIRED:
        delete(old)


@contextlib.contextmanager
def _opened_draft(folder: Path, out: Path) -> Iterator[int]:
    """Make a folder unless it is there, and lock it; folders made above it go if it does."""
    made = missing_parents(folder)
    try:
        with contextlib.ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if folder.is_symlink():
                    raise in_the_way(folder)
                descriptor = stack.enter_context(locked(folder, state=DRAFT, out=out))
            except OSError as error:
                raise unwritable(error, folder.parent) from error
            yield descriptor
    finally:
        remove_empty(made)
