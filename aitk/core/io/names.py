"""Names of files: those that a table's cells mean, and those that are no text.

Linux allows any bytes in a name. Python holds those that are not UTF-8 as lone surrogates, which
nothing can store; ``printable`` writes them as ``\\xe9``, and ``find_file`` reads that again.
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
#: Of the 255 bytes that a name may have; the rest is for numbers and endings.
_NAME_BYTES, _DIGEST_LETTERS = 200, 12


def printable(text: str, *, backslash: str = "\\") -> str:
    """A text with every byte of a name that is not UTF-8 written as ``\\xe9``.

    Args:
        backslash: what stands for one.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: backslash + _escape(ord(found[0])), text)
    return text


def check_text(folder: Path) -> None:
    """Refuse a folder of aitk's whose path is not UTF-8.

    Raises:
        UsageError: TensorFlow and others could not open the files in it.
    """
    text = os.path.abspath(folder)
    if printable(text) != text:
        raise UsageError("its path is not UTF-8", where=text, hint="Rename it, or choose another")


def fit_name(name: str) -> str:
    """A name of no more bytes than a file system takes, with room for an ending.

    A hash of the whole name keeps names apart that begin alike.
    """
    content = name.encode(errors="surrogateescape")
    if len(content) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_LETTERS]
    kept = content[: _NAME_BYTES - _DIGEST_LETTERS - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def path_in(cell: Any) -> str:
    """The path in a cell of a table; "" in an empty one.

    Data sets of Hugging Face hold ``{"path": ..., "bytes": ...}``: without bytes the path counts.

    Raises:
        DataError: it holds something else.
    """
    if isinstance(cell, Mapping) and not cell.get("bytes"):
        cell = cell.get("path")
    if isinstance(cell, Mapping):
        raise DataError("its cell holds a file itself: save it as a file, and give the path")
    if isinstance(cell, list | bytes):
        raise DataError("its cell holds no path")
    return "" if cell is None else str(cell).strip()


def find_file(name: str, folder: Path, *, outside: bool, of: str = "table") -> Path:
    """The file that a cell means.

    A name that was written in another way is found too: see ``spellings``.

    Args:
        name: relative to ``folder``.
        outside: it may lie outside of the folder.
        of: what the folder is of, for the message.

    Raises:
        DataError: there is no such file, or it lies outside and that is not allowed: a table
            from elsewhere could name any file of this machine.
    """
    if "\0" in name:
        raise DataError("the name of its file holds a NUL byte")
    found = match_spelling(name, lambda each: os.path.isfile(folder / each))
    path = folder / (name if found is None else found)
    if not outside and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        reason = f"{shorten(name)} is outside the {of}'s folder; --outside allows it"
        raise DataError(reason)
    if found is None:
        raise DataError(f"there is no file {shorten(name)}")
    return path


def match_spelling(name: str, exists: Callable[[str], bool]) -> str | None:
    """The first spelling of a name under which there is a file, or None."""
    return next(filter(exists, spellings(name)), None)


def spellings(name: str) -> Iterator[str]:
    """A name as it is written, then as it may have been meant.

    Unicode has two forms of accented letters, and macOS writes names in the other one than most
    tables; Windows separates folders by backslashes; addresses write letters as ``%20``; names
    may be bytes of an older encoding, or what ``printable`` made of them.
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
    """A name as a message shows it."""
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
    """The split that a whole word of a file's or folder's name tells: ``my_test.csv``."""
    words = re.findall(r"[^\W\d_]+", name.lower())
    found = {SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD}
    return found.pop() if len(found) == 1 else None
