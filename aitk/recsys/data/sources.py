"""Log files of the user's sources, and the files of a folder that describe items and users."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aitk.core.contract.errors import DataError
from aitk.core.contract.task import Note
from aitk.core.io.files import check_file
from aitk.core.io.names import split_named
from aitk.core.io.tables import SUFFIXES, Table, file_suffix
from aitk.core.io.tfds_source import PREFIX, open_tfds
from aitk.recsys.data.columns import NAMES
from aitk.recsys.data.layouts import Sequences, open_layout
from aitk.recsys.data.options import LogReading

#: Words in file names that indicate the content: ``my_ratings.csv``.
_EVENT_WORDS = frozenset(
    "rating ratings event events interaction interactions click clicks view views visit visits"
    " purchase purchases order orders transaction transactions review reviews session sessions"
    " sequence sequences log logs".split()
)
_ITEM_WORDS = frozenset(
    "item items movie movies product products book books goods article articles news song songs"
    " track tracks artist artists game games catalogue catalog".split()
)
_USER_WORDS = frozenset("user users customer customers member members".split())
_ABOUT = ("readme", "license", "licence")


@dataclass(frozen=True, slots=True)
class LogFile:
    """A source of events: a path, ``-`` or ``tfds:NAME``, and the split it names."""

    name: str
    split: str | None = None


def find_log(sources: Sequence[str], *, note: Note) -> list[LogFile]:
    """List the files with events, in a fixed order, checking that they exist.

    From a folder: its ``.inter`` files; else those with names of events (``ratings.dat``,
    ``u.data``); else those that name a split; else all files that describe neither items nor users.

    Raises:
        DataError: there is no such file, or a folder has nothing to read.
    """
    found: list[LogFile] = []
    for source in sources:
        if source == "-" or source.startswith(PREFIX):
            found.append(LogFile(source))
        elif os.path.isdir(source):
            found += _events_of_folder(source, note)
        else:
            check_file(Path(source))
            found.append(LogFile(source, split_named(Path(source).name)))
    return found


def open_log(file: LogFile, reading: LogReading) -> Iterator[tuple[str | None, Table | Sequences]]:
    """The tables of a source with their splits, or its lines if it has no columns."""
    if file.name.startswith(PREFIX):
        for name, table in open_tfds(file.name):
            yield split_named(name), table
        return
    told = (reading.user_column, reading.item_column, reading.rating_column, reading.time_column)
    yield (
        file.split,
        open_layout(
            file.name,
            header=reading.header,
            delimiter=reading.delimiter,
            encoding=reading.encoding,
            decimal=reading.decimal,
            names=NAMES | {name.casefold() for name in told if name},
        ),
    )


def complete_reading(sources: Sequence[str], reading: LogReading, *, note: Note) -> LogReading:
    """The options with the attribute files of a source folder, unless files were given."""
    return dataclasses.replace(
        reading,
        items=reading.items or _find_facts(sources, "items", _ITEM_WORDS, ".item", note),
        users=reading.users or _find_facts(sources, "users", _USER_WORDS, ".user", note),
    )


def _find_facts(
    sources: Sequence[str], what: str, words: frozenset[str], suffix: str, note: Note
) -> str | None:
    """The first file of a folder that describes items or users."""
    for folder in filter(os.path.isdir, sources):
        for path in _files(folder):
            if _describes(path, words, suffix):
                note(f"{path}: used as attributes of the {what}")
                return str(path)
    return None


def _events_of_folder(name: str, note: Note) -> list[LogFile]:
    files = _files(name)
    about = [
        path
        for path in files
        if _describes(path, _ITEM_WORDS, ".item") or _describes(path, _USER_WORDS, ".user")
    ]
    others = [path for path in files if path not in about and _may_be_read(path)]
    choices = (
        [path for path in others if file_suffix(path.name) == ".inter"],
        [path for path in others if path.name == "u.data" or _words(path) & _EVENT_WORDS],
        [path for path in others if split_named(path.name)],
        others,
    )
    chosen = next(filter(None, choices), [])
    if not chosen:
        hint = "Expected .csv, .tsv, .jsonl, .parquet, .inter, .dat or .txt files"
        raise DataError("no events in the folder", where=name, hint=hint)
    note(f"{name}: reading events from {', '.join(path.name for path in chosen)}")
    return [LogFile(str(path), split_named(path.name)) for path in chosen]


def _files(folder: str) -> list[Path]:
    """The files of a folder, sorted, without hidden files and links that point outside."""
    inside = Path(folder).resolve()
    return sorted(
        path
        for path in Path(folder).iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and (not path.is_symlink() or path.resolve().is_relative_to(inside))
    )


def _describes(path: Path, words: frozenset[str], suffix: str) -> bool:
    """Whether a file describes items (or users) rather than events."""
    if file_suffix(path.name) == suffix:
        return True
    found = _words(path)
    return _may_be_read(path) and bool(found & words) and not found & _EVENT_WORDS


def _may_be_read(path: Path) -> bool:
    suffix = file_suffix(path.name)
    known = (*SUFFIXES, ".inter", ".dat", ".data", ".txt")
    return suffix in known and suffix != ".json" and not path.name.lower().startswith(_ABOUT)


def _words(path: Path) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", path.name.lower()))
