"""File names: those in table cells, and those that are not valid text.

Linux allows any bytes in a name. Python represents bytes that are not UTF-8 as lone surrogates,
which cannot be stored; ``printable`` writes them as ``\\xe9``, which ``find_file`` reads back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aitk.core.contract.errors import DataError, UsageError

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")
_SHOWN_CHARACTERS = 80
#: Of the 255 bytes of a name; the rest is reserved for numbers and suffixes.
_NAME_BYTES, _DIGEST_LETTERS = 200, 12


def printable(text: str, *, backslash: str = "\\") -> str:
    """A text with invalid UTF-8 bytes of file names written as ``\\xe9``.

    Args:
        backslash: replacement of a backslash.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: backslash + _escape(ord(found[0])), text)
    return text


def check_text(folder: Path) -> None:
    """Refuse an output folder whose path is not UTF-8.

    Raises:
        UsageError: TensorFlow and other libraries could not open files in it.
    """
    text = os.path.abspath(folder)
    if printable(text) != text:
        raise UsageError("its path is not UTF-8", where=text, hint="Rename it, or choose another")


def fit_name(name: str) -> str:
    """Shorten a name to the limit of file systems, with room for a suffix.

    A hash of the whole name distinguishes names with equal beginnings.
    """
    content = name.encode(errors="surrogateescape")
    if len(content) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_LETTERS]
    kept = content[: _NAME_BYTES - _DIGEST_LETTERS - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def path_in(cell: Any) -> str:
    """The path in a table cell; "" for an empty cell.

    Hugging Face data sets have ``{"path": ..., "bytes": ...}``: without bytes, the path is used.

    Raises:
        DataError: the cell has other content.
    """
    if isinstance(cell, Mapping) and not cell.get("bytes"):
        cell = cell.get("path")
    if isinstance(cell, Mapping):
        raise DataError("its cell contains file data: save it as a file, and give the path")
    if isinstance(cell, list | bytes):
        raise DataError("its cell does not contain a path")
    return "" if cell is None else str(cell).strip()


def find_file(name: str, folder: Path, *, outside: bool, of: str = "table") -> Path:
    """The file that a cell refers to.

    Other spellings of the name are tried too: see ``spellings``.

    Args:
        name: relative to ``folder``.
        outside: allow files outside the folder.
        of: kind of the folder's owner, for the message.

    Raises:
        DataError: the file is missing, or is outside the folder and that is not allowed: an
            untrusted table could name any file on this machine.
    """
    if "\0" in name:
        raise DataError("the name of its file contains a NUL byte")
    found = match_spelling(name, lambda each: os.path.isfile(folder / each))
    path = folder / (name if found is None else found)
    if not outside and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        reason = f"{shorten(name)} is outside the {of}'s folder; --outside allows it"
        raise DataError(reason)
    if found is None:
        raise DataError(f"there is no file {shorten(name)}")
    return path


def match_spelling(name: str, exists: Callable[[str], bool]) -> str | None:
    """The first spelling of a name for which there is a file, or None."""
    return next(filter(exists, spellings(name)), None)


def spellings(name: str) -> Iterator[str]:
    """A name as written, then in other plausible spellings.

    Unicode has two forms of accented letters, and macOS uses the other one than most tables;
    Windows separates folders by backslashes; URLs write letters as ``%20``; names may be bytes of a
    legacy encoding, or output of ``printable``.
    """
    yield name
    if "\\x" in name:
        raw = _ESCAPED.sub(lambda found: chr(0xDC00 + int(found[1], 16)), name)
        if raw != name:
            yield raw
    if "\\" in name:
        yield name.replace("\\", "/")
    if "%" in name:
        plain = unquote(name, errors="surrogateescape")
        if plain != name and "\0" not in plain:
            yield plain
    if not name.isascii():
        for form in ("NFC", "NFD"):
            other = unicodedata.normalize(form, name)
            if other != name:
                yield other
        with contextlib.suppress(UnicodeEncodeError):
            yield os.fsdecode(name.encode("cp1252"))


def shorten(name: str) -> str:
    """A name shortened for messages."""
    name = printable(name)
    return name if len(name) <= _SHOWN_CHARACTERS else name[: _SHOWN_CHARACTERS - 3] + "..."


def _escape(code: int) -> str:
    return f"x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"u{code:04x}"


SPLIT_OF_WORD = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}


def split_named(name: str) -> str | None:
    """The split named by a whole word in a file or folder name: ``my_test.csv``."""
    words = re.findall(r"[^\W\d_]+", name.lower())
    found = {SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD}
    return found.pop() if len(found) == 1 else None
