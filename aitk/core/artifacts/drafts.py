"""Folders that are either complete or absent.

``NAME`` is written as ``NAME.part`` and renamed last; a folder that it replaces is called
``NAME.old`` until it is deleted. ``recover`` repairs the state after a kill between these steps;
every command calls it before it writes ``NAME`` or reports it missing.
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

#: Folder inside a draft with the state for resuming.
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
    """Fill ``NAME.part``, which is renamed when the block succeeds.

    On an error the draft is deleted, unless ``keep`` reports that it can be resumed.

    Args:
        inputs, options, overwrite: see ``targets.check_folder``.
        resume: continue the existing draft.
        marked: keep the marker, so that ``overwrite`` may replace the folder. False for a project,
            which the user fills.

    Raises:
        UsageError: the folder cannot be written, or another process is writing it.
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
                hint = "Repeat the command without --resume"
                raise ArtifactError("nothing to resume", where=str(part), hint=hint)
            if found and not resume and not overwrite:
                raise UsageError(
                    "an interrupted result exists",
                    where=str(part),
                    hint="Continue with --resume, or start again with --overwrite",
                )
            if not resume:
                empty(part)
            yield part
            if os.path.lexists(out) and not (overwrite and may_replace(out)):
                keep = _always  # it may have taken hours
                raise appeared(out, part)
            if not marked:
                (part / MARKER).unlink()
            set_state(marker, WHOLE)
            _put_in_place(part, out)
            set_state(marker, PLACED)
        except BaseException:
            if is_folder(part) and not keep(part):
                with contextlib.suppress(OSError):  # report the first failure
                    delete(part)
            raise


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Write directly into a folder marked as aitk's, whose parts are useful on their own.

    Existing content is kept.

    Raises:
        UsageError: the folder has content not written by aitk; or another process is writing it.
    """
    check_leftover(folder, states=(DRAFT, PLACED))
    with _opened_draft(folder, folder) as marker:
        yield
        set_state(marker, PLACED)


def recover(out: Path) -> None:
    """Complete or roll back an interrupted replacement of ``out``."""
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
    """The process that is writing the folder or file ``out``, or None.

    A process that has not yet recorded its id counts as 0.
    """
    places = (part_of(out) / MARKER, progress_of(out), trials_of(out) / MARKER, out / MARKER)
    return next((pid for each in places if (pid := lock_holder(each)) is not None), None)


def missing_hint(out: Path, *, resumable: bool = False) -> str | None:
    """A hint about a missing folder; None if its creation was never started.

    Args:
        resumable: whether its draft can be resumed.
    """
    writer = writer_of(out)
    if writer is not None:
        who = f"process {writer}" if writer else "another process"
        return f"It is being written by {who}: wait until it has finished"
    if resumable or read_marker(trials_of(out)):
        return "It was interrupted: repeat its command with --resume"
    return "It was interrupted: repeat its command" if read_marker(part_of(out)) else None


def discard(folder: Path) -> None:
    """Delete a folder if aitk made it."""
    if read_marker(folder):
        delete(folder)


def delete(folder: Path) -> None:
    """Delete a folder, its marker last, so that the remains after a kill are known as aitk's."""
    empty(folder)
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()


def empty(folder: Path) -> None:
    """Delete the content of a folder, except its marker."""
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
    """Move a complete draft to its final name, replacing the previous folder."""
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
    """Delete the resume state of a complete draft."""
    state = part / STATE
    if is_folder(state):
        shutil.rmtree(state)


def _discard_retired(old: Path) -> None:
    marker = read_marker(old)
    if marker and marker.state == RETIRED:
        delete(old)


@contextlib.contextmanager
def _opened_draft(folder: Path, out: Path) -> Iterator[int]:
    """Create a folder if missing, and lock it; its new parents are removed along with it."""
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
