"""What is known of items and users beside their events: texts, tags, numbers, pictures, audio."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.labels import MISSING, NameReader
from aitk.core.contract.options import unknown_name
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Note
from aitk.core.io.tables import Record, Table, find_column
from aitk.recsys.data.kinds import convert_column
from aitk.recsys.data.layouts import Sequences, declared_type, open_layout, plain_name
from aitk.recsys.data.options import TOLD_KINDS

#: As a value of an attribute: whatever the case.
_MISSING = frozenset(word.casefold() for word in MISSING)

_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
_USER_FIELDS = ("user_id", "age", "gender", "occupation", "zip_code")
#: MovieLens' files have no header: the names of their columns by file name and width.
_MOVIELENS: Mapping[tuple[str, int], Sequence[str]] = {
    ("movies.dat", 3): ("item_id", "title", "genres"),
    ("users.dat", 5): ("user_id", "gender", "age", "occupation", "zip_code"),
    ("u.user", 5): _USER_FIELDS,
    ("u.item", 5 + len(_GENRES)): ("item_id", "title", "date", "video", "address", *_GENRES),
}


@dataclass(frozen=True)
class Attributes:
    """What is known of some things, column by column.

    Attributes:
        ids: of the things, each once.
        kinds: of each column: text, tags, number, picture, audio or vector.
        values: of each column, one for each id: a string; a list of strings; a float; a path; a
            list of floats; or None where it is missing.
    """

    ids: list[str]
    kinds: dict[str, str]
    values: dict[str, list[Any]]

    def of(self, ids: Sequence[str]) -> dict[str, list[Any]]:
        """The values of these ids, None for the unknown."""
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
    told_key: str | None = None,
    told_kinds: Sequence[str] = (),
    what: str,
    encoding: str | None = None,
    decimal: str | None = None,
    keep_na: bool = False,
    note: Note,
) -> Attributes:
    """Read a file with a line for each item or user.

    Kinds are guessed from all values; paths of pictures and audio are taken from the file's
    folder on, and one that leads out of it is missing.

    Args:
        key_names: usual names of the column of the id.
        told_key: its name as the user told it.
        told_kinds: NAME=KIND, which go before a guess.
        what: item or user.
        decimal: what stands before the decimals of a number; None finds out.
        keep_na: ids such as NULL and nan are names like any other.
        note: receives what was decided on the way.

    Raises:
        DataError: the file is missing, no table, has no column of the id or no line with one.
        UsageError: a kind was told of a column that is not there, or is none.
    """
    table = open_layout(path, encoding=encoding, decimal=decimal, names=frozenset(key_names))
    if isinstance(table, Sequences):
        raise DataError(f"holds no table of {what}s", where=path, hint="Give columns with names")
    table = _with_names(table)
    plain = [plain_name(column) for column in table.columns]
    told_key = told_key if told_key in plain else None
    key = table.columns[plain.index(find_column(plain, told_key, key_names, what=what, where=path))]
    ids, raw = _read(table, key, what, NameReader(keep_na=keep_na), note)
    if not ids:
        raise DataError(f"no line has an id of a {what}", where=path)
    told = _parse_kinds(told_kinds, [plain_name(name) for name in raw])
    kinds: dict[str, str] = {}
    values: dict[str, list[Any]] = {}
    for column, cells in raw.items():
        name = plain_name(column)
        kind, cells = convert_column(
            cells, told.get(name), declared_type(column), Path(path).parent
        )
        if kind is None:
            note(f"{path}: {name!r} is not used")
            continue
        name = f"{name}.2" if name == what or name in kinds else name
        kinds[name], values[name] = kind, cells
        missing = cells.count(None)
        said = f"{path}: {name!r} is {kind}"
        note(said + (f", missing in {missing:,} of {len(ids):,}" if missing else ""))
    return Attributes(ids, kinds, values)


def _read(
    table: Table, key: str, what: str, names: NameReader, note: Note
) -> tuple[list[str], dict[str, list[Any]]]:
    """The ids, each once, and the values of the other columns, missing ones as None."""
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
        note(f"{table.source}: {refused:,} lines left out, the first {first}")
    if repeated:
        note(f"{table.source}: {repeated:,} lines repeat an earlier {what}; the first counts")
    return list(places), raw


def _with_names(table: Table) -> Table:
    """MovieLens' tables with names for their columns, and genres as one list."""
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


def _parse_kinds(told: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    kinds = {}
    for assignment in told:
        name, equals, kind = assignment.partition("=")
        name, kind = name.strip(), kind.strip()
        if not equals:
            hint = "Write NAME=KIND, for instance title=text"
            raise UsageError(f"cannot read {assignment!r}", where="--item-kinds", hint=hint)
        if name not in columns:
            raise unknown_name(name, columns, what="attribute")
        if kind not in (*TOLD_KINDS, "vector"):
            raise unknown_name(kind, TOLD_KINDS, what="kind of attribute")
        kinds[name] = kind
    return kinds


def _present(value: Any) -> Any:
    """A value, or None where it says that there is none."""
    if isinstance(value, str):
        value = value.strip()
        return None if value.casefold() in _MISSING else value
    return None if value == [] or isinstance(value, dict) else value
