"""Inference of a column's attribute kind, and conversion of its values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.io.names import find_file, printable
from aitk.core.io.values import to_number
from aitk.recsys.data.values import LARGEST_RATING, read_list

KINDS = ("text", "tags", "number", "picture", "audio", "vector")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_AUDIO = (".wav", ".flac", ".mp3", ".ogg")
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
#: A number with a leading zero is a code.
_CODE = re.compile(r"0\d+")
#: Minimum share of values that must follow a rule.
_NEARLY_ALL, _MOST, _SOME = 0.95, 0.8, 0.2
#: Tags recur this often on average, and have at most this many words on average.
_TAG_REPEATS, _TAG_WORDS = 2.0, 4.0


def convert_column(
    cells: list[Any], stated: str | None, declared: str | None, folder: Path
) -> tuple[str | None, list[Any]]:
    """The kind of a column and its converted values; None if it is unusable.

    Args:
        cells: its values, None if missing.
        stated: kind given by the user.
        declared: type declared in a RecBole file, or None.
        folder: base of image and audio paths; paths that point outside count as missing.
    """
    if any(isinstance(cell, str) and cell.startswith("[") for cell in cells):
        parsed = [read_list(cell) if isinstance(cell, str) else cell for cell in cells]
        given = [cell for cell in cells if cell is not None]
        if all(not isinstance(cell, str) or cell.startswith("[") for cell in given):
            cells = parsed
    kind = stated or guess_kind(cells, declared)
    if kind is None or kind == "none":
        return None, []
    convert: Callable[[Any], Any]
    if kind == "number":
        convert = _number
    elif kind == "vector":
        rows = [None if cell is None else read_list(cell) for cell in cells]
        size = _vector_size([row for row in rows if row])
        if size is None:
            return None, []
        cells = rows
        convert = _floats
    elif kind == "tags":
        texts = [str(cell) for cell in cells if cell is not None and not isinstance(cell, list)]
        split = _tag_splitter(texts, declared) or (lambda text: [text])
        return kind, [None if cell is None else _tags(cell, split) for cell in cells]
    elif kind in ("picture", "audio"):
        inside = folder.resolve()
        return kind, [None if cell is None else _path(str(cell), inside) for cell in cells]
    else:
        convert = _text
    return kind, [None if cell is None else convert(cell) for cell in cells]


def guess_kind(cells: Sequence[Any], declared: str | None = None) -> str | None:
    """The kind of a column by its values (None if missing); None if it is unusable.

    Args:
        declared: type declared in a RecBole file, or None.
    """
    present = [cell for cell in cells if cell is not None]
    if not present:
        return None
    lists = [cell for cell in present if isinstance(cell, list)]
    if declared == "float_seq" or (lists and _vector_size(lists)):
        return "vector"
    if lists:
        return "tags"
    if any(isinstance(cell, str) and _CODE.fullmatch(cell) for cell in present):
        return "tags"
    if sum(_number(cell) is not None for cell in present) >= _NEARLY_ALL * len(present):
        return "number"
    texts = [str(cell) for cell in present]
    for kind, endings in (("picture", _PICTURES), ("audio", _AUDIO)):
        if sum(text.lower().endswith(endings) for text in texts) >= _MOST * len(texts):
            return None if any(map(_ADDRESS.match, texts)) else kind
    if sum(bool(_ADDRESS.match(text)) for text in texts) >= _MOST * len(texts):
        return None
    return "text" if _tag_splitter(texts, declared) is None else "tags"


def _number(cell: Any) -> float | None:
    try:
        number = to_number(cell)
    except ValueError:
        return None
    return number if abs(number) < LARGEST_RATING else None


def _text(cell: Any) -> str:
    return " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)


def _floats(cells: list[Any]) -> list[float] | None:
    numbers = [_number(cell) for cell in cells]
    return None if None in numbers else numbers  # type: ignore[return-value]


def _vector_size(lists: Sequence[list[Any]]) -> int | None:
    """The common length of all lists, if all are numeric with at least two values."""
    size = len(lists[0]) if lists else 0
    numeric = size > 1 and all(
        len(cells) == size
        and all(not isinstance(cell, bool) and _number(cell) is not None for cell in cells)
        for cells in lists
    )
    return size if numeric else None


def _tags(cell: Any, split: Callable[[str], Sequence[str]]) -> list[str] | None:
    """The unique tags in a value, in order."""
    parts = [str(part) for part in cell] if isinstance(cell, list) else split(str(cell))
    return list(dict.fromkeys(part.strip() for part in parts if part.strip())) or None


def _tag_splitter(texts: Sequence[str], declared: str | None) -> Callable[[str], list[str]] | None:
    """How to split texts into recurring tags; None if they do not recur.

    A bar always separates tags; a semicolon, a comma or (in a RecBole list) a space does if the
    parts are short and recur; otherwise the whole text may be one tag.
    """
    if sum("|" in text for text in texts) >= _SOME * len(texts):
        return partial(str.split, sep="|")
    separators = [";", ",", *([" "] if declared == "token_seq" else [])]
    for separator in separators:
        if sum(separator in text for text in texts) < _SOME * len(texts):
            continue
        parts = [part.strip() for text in texts for part in text.split(separator)]
        if _repeat([part for part in parts if part]):
            return partial(str.split, sep=separator)
    return (lambda text: [text]) if _repeat(texts) else None


def _repeat(parts: Sequence[str]) -> bool:
    """Whether the parts are few and short enough to be tags."""
    words = sum(part.count(" ") + 1 for part in parts)
    return len(parts) >= _TAG_REPEATS * len(Counter(parts)) and words <= _TAG_WORDS * len(parts)


def _path(text: str, inside: Path) -> str | None:
    """The path of a file in or below the folder; None if there is no such file, or if its path is
    not UTF-8, which the catalogue cannot store."""
    try:
        path = str(find_file(text, inside, outside=False))
    except DataError:
        return None
    return path if printable(path) == path else None
