"""Attributes of items and users: texts, tags, numbers, images, audio, vectors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.labels import MISSING, NameReader
from aitk.core.contract.options import unknown_name
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Note
from aitk.core.io.names import find_file, printable
from aitk.core.io.tables import Record, Table, find_column
from aitk.core.io.values import to_number
from aitk.recsys.data.layouts import Sequences, declared_type, open_layout, plain_name
from aitk.recsys.data.options import TOLD_KINDS
from aitk.recsys.data.values import LARGEST_RATING, read_list

#: Values that mean missing, in any case.
_MISSING = frozenset(word.casefold() for word in MISSING)

_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
_USER_FIELDS = ("user_id", "age", "gender", "occupation", "zip_code")
#: Column names of MovieLens' headerless files, by file name and width.
_MOVIELENS: Mapping[tuple[str, int], Sequence[str]] = {
    ("movies.dat", 3): ("item_id", "title", "genres"),
    ("users.dat", 5): ("user_id", "gender", "age", "occupation", "zip_code"),
    ("u.user", 5): _USER_FIELDS,
    ("u.item", 5 + len(_GENRES)): ("item_id", "title", "date", "video", "address", *_GENRES),
}
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


@dataclass(frozen=True)
class Attributes:
    """Attributes of items or users, column by column.

    Attributes:
        ids: unique ids.
        kinds: kind of each column: text, tags, number, picture, audio or vector.
        values: values of each column, one per id: a string; a list of strings; a float; a path; a
            list of floats; or None if missing.
    """

    ids: list[str]
    kinds: dict[str, str]
    values: dict[str, list[Any]]

    def of(self, ids: Sequence[str]) -> dict[str, list[Any]]:
        """The values of these ids, None for unknown ones."""
        places = {key: place for place, key in enumerate(self.ids)}
        found = [places.get(key) for key in ids]
        return {
            name: [None if place is None else column[place] for place in found]
            for name, column in self.values.items()
        }


def read_attributes(
    path: str,
    *,
    key_names: Sequence[str],
    given_key: str | None = None,
    given_kinds: Sequence[str] = (),
    what: str,
    encoding: str | None = None,
    decimal: str | None = None,
    keep_na: bool = False,
    note: Note,
) -> Attributes:
    """Read a file with one line per item or user.

    Kinds are inferred from all values; paths of images and audio are relative to the file's
    folder, and a path that points outside it counts as missing.

    Args:
        key_names: usual names of the id column.
        given_key: id column given by the user.
        given_kinds: NAME=KIND, which override inference.
        what: item or user.
        decimal: decimal separator; None: detected.
        keep_na: treat ids such as NULL and nan as names.
        note: receives notes on automatic decisions.

    Raises:
        DataError: the file is missing or not a table, or has no id column or no line with an id.
        UsageError: a kind is unknown, or given for a missing column.
    """
    table = open_layout(path, encoding=encoding, decimal=decimal, names=frozenset(key_names))
    if isinstance(table, Sequences):
        raise DataError(f"is not a table of {what}s", where=path, hint="Use columns with names")
    table = _with_names(table)
    plain = [plain_name(column) for column in table.columns]
    given_key = given_key if given_key in plain else None
    key = table.columns[
        plain.index(find_column(plain, given_key, key_names, what=what, where=path))
    ]
    ids, raw = _read(table, key, what, NameReader(keep_na=keep_na), note)
    if not ids:
        raise DataError(f"no line has the id of a {what}", where=path)
    assignments = _parse_kinds(given_kinds, [plain_name(name) for name in raw])
    kinds: dict[str, str] = {}
    values: dict[str, list[Any]] = {}
    for column, cells in raw.items():
        name = plain_name(column)
        kind, cells = convert_column(
            cells, assignments.get(name), declared_type(column), Path(path).parent
        )
        if kind is None:
            note(f"{path}: {name!r} is not used")
            continue
        name = f"{name}.2" if name == what or name in kinds else name
        kinds[name], values[name] = kind, cells
        missing = cells.count(None)
        text = f"{path}: {name!r} is {kind}"
        note(text + (f", missing in {missing:,} of {len(ids):,}" if missing else ""))
    return Attributes(ids, kinds, values)


def _read(
    table: Table, key: str, what: str, names: NameReader, note: Note
) -> tuple[list[str], dict[str, list[Any]]]:
    """The unique ids, and the values of the other columns, None if missing."""
    places: dict[str, int] = {}
    raw: dict[str, list[Any]] = {column: [] for column in table.columns if column != key}
    refused, repeated, first = 0, 0, ""
    for found in table:
        problem: str | None = None
        if isinstance(found, Refusal):
            line, problem = found.line, found.reason
        else:
            line, record = found
            name, problem = names.read(record.get(key), what)
        if problem:
            refused += 1
            first = first or f"line {line}: {problem}"
            continue
        if name in places:
            repeated += 1
            continue
        places[name] = len(places)
        for column, value in record.items():
            if column != key:
                cells = raw.setdefault(column, [])
                cells.extend([None] * (places[name] - len(cells)))
                cells.append(_present(value))
    for cells in raw.values():
        cells.extend([None] * (len(places) - len(cells)))
    for decision in names.notes(table.source):
        note(decision)
    if refused:
        note(f"{table.source}: {refused:,} lines omitted, first at {first}")
    if repeated:
        note(f"{table.source}: {repeated:,} lines repeat an earlier {what}; the first counts")
    return list(places), raw


def _with_names(table: Table) -> Table:
    """MovieLens tables with column names, and genres as one list."""
    file = re.split(r"[/\\]", table.source)[-1].lower().removesuffix(".gz")
    names = _MOVIELENS.get((file, len(table.columns)))
    if names is None or not table.columns[0].isdecimal():
        return table
    renamed = dict(zip(table.columns, names, strict=True))

    def mended(record: Record) -> Record:
        record = {renamed[column]: value for column, value in record.items()}
        if file == "u.item":
            flags = [genre for genre in _GENRES if record.pop(genre, "0") == "1"]
            record = {
                "item_id": record["item_id"],
                "title": record["title"],
                "year": record["date"][-4:],
                "genres": flags,
            }
        return record

    columns = ["item_id", "title", "year", "genres"] if file == "u.item" else list(names)
    records = (item if isinstance(item, Refusal) else (item[0], mended(item[1])) for item in table)
    preview = [mended(record) for record in table.preview if len(record) == len(names)]
    return Table(table.source, columns, preview, table.notes, records)


def _parse_kinds(assignments: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    kinds = {}
    for assignment in assignments:
        name, equals, kind = assignment.partition("=")
        name, kind = name.strip(), kind.strip()
        if not equals:
            hint = "Use NAME=KIND, such as title=text"
            raise UsageError(f"cannot read {assignment!r}", where="--item-kinds", hint=hint)
        if name not in columns:
            raise unknown_name(name, columns, what="attribute")
        if kind not in (*TOLD_KINDS, "vector"):
            raise unknown_name(kind, TOLD_KINDS, what="kind of attribute")
        kinds[name] = kind
    return kinds


def _present(value: Any) -> Any:
    """A value, or None if it means missing."""
    if isinstance(value, str):
        value = value.strip()
        return None if value.casefold() in _MISSING else value
    return None if value == [] or isinstance(value, dict) else value


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
