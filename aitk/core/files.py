"""Writing so that a file is whole or absent, and naming it by its content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from aitk.core.errors import UsageError
from aitk.core.values import dump_json


@contextlib.contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """Write UTF-8 text beside ``path`` and rename it there when it is whole."""
    with (
        _renamed_when_whole(path) as part,
        # A name of a file may be no text; ``printable`` shows it better.
        part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with _renamed_when_whole(path) as part:
        part.write_bytes(content)


@contextlib.contextmanager
def _renamed_when_whole(path: Path) -> Iterator[Path]:
    part = part_of(path)
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def draft_folder(
    out: Path, *, overwrite: bool = False, keep: Callable[[Path], bool] = lambda draft: False
) -> Iterator[Path]:
    """Fill ``NAME.part`` and rename it to ``NAME`` when the block ends well.

    On an error the draft is deleted, unless ``keep`` says that it is worth keeping.
    """
    part = part_of(out)
    check_free(out, overwrite=overwrite)
    if part.exists() and not keep(part):
        shutil.rmtree(part)
    part.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        if out.exists():
            retired = out.with_name(out.name + ".old")
            os.replace(out, retired)
            os.replace(part, out)
            shutil.rmtree(retired)
        else:
            os.replace(part, out)
    except BaseException:
        if not keep(part):
            shutil.rmtree(part, ignore_errors=True)
        raise


def part_of(out: Path) -> Path:
    """Where ``out`` is written until it is whole."""
    return out.with_name(out.name + ".part")


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse an ``--out`` that exists (unless told), or that cannot be written."""
    if out.exists() and not overwrite:
        raise UsageError(
            "exists already", where=str(out), hint="Choose another --out, or add --overwrite"
        )
    check_writable(out.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people to read: indented, real characters, whole or not at all."""
    with atomic_text(path) as file:
        file.write(dump_json(value, indent=2, default=_plain) + "\n")


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(values: Mapping[str, Any]) -> str:
    """A short stable name for a JSON value."""
    text = dump_json(values, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_writable(folder: Path) -> None:
    """Make sure, before hours of work, that results can be written below ``folder``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".aitk-"):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot be written to ({error.strerror or error})",
            where=str(folder),
            hint="Choose another --out",
        ) from error


def _plain(value: Any) -> Any:
    """JSON for what is not JSON by itself: paths and NumPy values."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")
