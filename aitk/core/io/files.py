"""Files: written atomically, looked for, and identified by content."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from aitk.core.contract.errors import DataError, UsageError, unwritable
from aitk.core.io.values import dump_json

#: Names of a folder that a missing one is compared with.
_MOST_NAMES = 10_000


@contextlib.contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """Write UTF-8 text next to ``path`` and rename it when complete.

    Unpaired surrogates, as in file names that are not UTF-8, are written as escapes, which JSON can
    read back.
    """
    with (
        _renamed_when_whole(path) as part,
        io.TextIOWrapper(part, "utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file completely or not at all."""
    with _renamed_when_whole(path) as part, part:
        part.write(content)


@contextlib.contextmanager
def draft_file(path: Path) -> Iterator[BinaryIO]:
    """Write next to the user's files: ``NAME.part``, renamed to ``NAME`` when complete.

    Raises:
        UsageError: ``NAME.part`` already exists, or cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        file = _created(part)
    except FileExistsError as error:
        hint = "Rename or delete it, or choose another --out"
        raise UsageError("is in the way", where=str(part), hint=hint) from error
    except OSError as error:
        raise unwritable(error, path) from error
    try:
        with file:
            yield file
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def missing_parents(path: Path) -> list[Path]:
    """The missing parent folders of a path, innermost first."""
    return [each for each in path.parents if not os.path.lexists(each)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that were created but not used."""
    for folder in folders:
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()


@contextlib.contextmanager
def _renamed_when_whole(path: Path) -> Iterator[BinaryIO]:
    """For files in aitk's own folders: the remains after a kill are no loss."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    file = _created(part)
    try:
        yield file
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):  # report the first failure
            file.close()
        part.unlink(missing_ok=True)
        raise


def _created(path: Path) -> BinaryIO:
    """Create a new file; an existing one, in particular a link, is never written to."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o666), "w+b")


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON: indented, with Unicode characters, completely or not at all."""
    with atomic_text(path) as file:
        file.write(dump_json(value, indent=2, default=_plain) + "\n")


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(values: Mapping[str, Any]) -> str:
    """A short stable hash of a JSON value."""
    text = dump_json(values, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def described(path: Path) -> list[Any]:
    """A file or folder by names, sizes and times, for detecting changed inputs."""
    files = sorted(path.rglob("*")) if os.path.isdir(path) else [path]
    stats = [(str(file), file.stat()) for file in files if os.path.isfile(file)]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def check_writable(folder: Path) -> None:
    """Check, before hours of work, that results can be written below ``folder``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".aitk-"):
            pass
    except OSError as error:
        raise unwritable(error, folder) from error


def _plain(value: Any) -> Any:
    """JSON for values that are not JSON: paths and NumPy values."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def walk_files(root: Path, note: Callable[[str], None]) -> Iterator[Path]:
    """Yield the files below a folder, sorted.

    Hidden files are skipped, and links that point outside the folder, which ``note`` reports.
    """
    inside = root.resolve()
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        for file in sorted(files):
            path = Path(folder, file)
            if file.startswith(".") or not os.path.isfile(path):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                note(f"{path}: not followed, because it points outside the folder")
            else:
                yield path


def check_file(path: Path) -> None:
    """Raise ``DataError`` unless the path is a readable file (or a pipe)."""
    if os.path.isdir(path):
        raise DataError("is a folder, not a file", where=str(path))
    if not os.path.exists(path):
        near = difflib.get_close_matches(path.name, _names_beside(path), n=1)
        hint = f"Did you mean {path.parent / near[0]}?" if near else "Check the path"
        raise DataError("no such file", where=str(path), hint=hint)


def _names_beside(path: Path) -> list[str]:
    """Names in the folder where a file is expected; a sample of very many."""
    try:
        with os.scandir(path.parent) as entries:
            return [entry.name for entry in itertools.islice(entries, _MOST_NAMES)]
    except OSError:
        return []
