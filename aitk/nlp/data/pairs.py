"""Sentence pairs from tables, JSON lines, TMX, and line-aligned parallel files.

``train.de train.en`` (or ``.gz``, or a folder of them) are two parallel files; a single file of
plain lines, or stdin, holds sources to translate.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note
from aitk.core.io import encodings
from aitk.core.io.delimited import sniff_delimiter
from aitk.core.io.files import check_file, walk_files
from aitk.core.io.lines import Lines, open_lines
from aitk.core.io.names import split_named
from aitk.core.io.tables import (
    SUFFIXES,
    Table,
    file_suffix,
    find_column,
    list_names,
    looks_like_json,
    open_table,
    usual_column,
)
from aitk.core.io.tfds_source import PREFIX, open_tfds
from aitk.core.privacy.redaction import Redactor, redactor_of, with_counts
from aitk.nlp.data.cleaning import make_cleaner
from aitk.nlp.data.formats.tmx import Memory, text_of
from aitk.nlp.data.options import TextReading, TranslateReading

SOURCE_COLUMNS = ("source", "src", "source_text", "input", "original", "原文", "源文", "text")
TARGET_COLUMNS = ("target", "tgt", "translation", "target_text", "output", "译文", "目标", "翻訳")
#: The key of an object with one text per language, as in Hugging Face's translation data sets.
NESTED = "translation"
#: Characters added to both lengths before they are compared, so that "Hi" may become a sentence.
SLACK_CHARACTERS = 10
_HEADER = {"auto": None, "yes": True, "no": False}
#: Extensions of plain text that do not denote a language.
_PLAIN = ("", "txt", "text")


@dataclass(frozen=True)
class _Group:
    """Files that are read together: one file, or several that are parallel line by line."""

    files: Mapping[str, str]  # extension -> file
    kind: str  # table, tmx, lines, tfds


def read_pairs(
    sources: Sequence[str], reading: TranslateReading, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    """Stream rows ``{"source": ..., "target": ...}``, cleaned; refusals in place of refused
    records.

    Args:
        sources: files, folders, ``-`` for stdin, ``tfds:NAME``.
        labelled: both sides are required. Otherwise ``Row.record`` carries the original record,
            and sources may lack a target.
        note: receives notes on automatic decisions.

    Raises:
        DataError: a file is missing, is not text, is malformed XML, or its parallel file is missing
            or has a different number of lines.
        UsageError: an option names a column, language or encoding that does not exist.
    """
    encodings.check(reading.encoding)
    redactor = redactor_of(reading)
    pair = _PairChecker(reading, redactor, labelled=labelled)
    yield from with_counts(_read(sources, reading, pair, labelled=labelled, note=note), redactor)


def _read(
    sources: Sequence[str],
    reading: TranslateReading,
    pair: _PairChecker,
    *,
    labelled: bool,
    note: Note,
) -> Iterator[Row | Refusal]:
    for group in _find_groups(sources, reading, labelled=labelled, note=note):
        if group.kind == "tmx":
            yield from _read_memory(next(iter(group.files.values())), reading, pair, note)
        elif group.kind == "lines" and (labelled or len(group.files) > 1):
            yield from _read_parallel(group, reading, pair, labelled=labelled, note=note)
        else:
            yield from _read_single(group, reading, pair, labelled=labelled, note=note)


class _PairChecker:
    """Makes a row of two texts, or gives the reason why there is none."""

    def __init__(self, reading: TranslateReading, redactor: Redactor | None, *, labelled: bool):
        self._clean: Callable[[str], str] = make_cleaner(
            TextReading(unicode_form=reading.unicode_form, strip_html=reading.strip_html), redactor
        )
        self._ratio, self._labelled = reading.max_length_ratio, labelled

    def __call__(
        self,
        source: Any,
        target: Any,
        *,
        file: str,
        line: int,
        split: str | None,
        record: Mapping[str, Any] | None = None,
    ) -> Row | Refusal:
        fields = {}
        wanted = {"source": source} | ({"target": target} if self._labelled else {})
        for side, value in wanted.items():
            text, problem = self._text(value, side)
            if problem:
                return Refusal(file, line, problem)
            fields[side] = text
        if self._labelled:
            lengths = [len(text) + SLACK_CHARACTERS for text in fields.values()]
            if max(lengths) > self._ratio * min(lengths):
                counts = " and ".join(f"{len(text):,}" for text in fields.values())
                return Refusal(
                    file,
                    line,
                    f"source and target have {counts} characters: unlikely to be translations"
                    " (--max-length-ratio)",
                )
        return Row(fields, file, line, split, {} if self._labelled else dict(record or fields))

    def _text(self, value: Any, side: str) -> tuple[str, str | None]:
        if value is None:
            return "", f"it has no {side}"
        if not isinstance(value, str | int | float):
            return "", f"its {side} is a {type(value).__name__}, not a string"
        text = str(value)
        if "\0" in text:
            return "", "it contains a NUL byte"
        text = self._clean(text)
        return text, None if text else f"its {side} is empty"


def _find_groups(
    names: Sequence[str], reading: TranslateReading, *, labelled: bool, note: Note
) -> list[_Group]:
    """Groups of files in the user's order; files of plain lines are grouped by stem."""
    groups: list[_Group] = []
    parallel: dict[str, dict[str, str]] = {}
    in_folders: set[str] = set()
    for name in names:
        if name.startswith(PREFIX) or name == "-":
            groups.append(_Group({"": name}, "tfds" if name != "-" else "single"))
            continue
        if os.path.isdir(name):
            files = [str(path) for path in walk_files(Path(name), note)]
        else:
            check_file(Path(name))
            files = [name]
        for file in files:
            suffix = file_suffix(file)
            if suffix == ".tmx":
                groups.append(_Group({"": file}, "tmx"))
            elif suffix in SUFFIXES:
                if suffix != ".json" or file == name:
                    groups.append(_Group({"": file}, "table"))
            else:
                stem, ending = _stem_and_language(file)
                parallel.setdefault(stem, {})[ending] = file
                if file != name:
                    in_folders.add(stem)
    for stem, found in parallel.items():
        plain = next(iter(found)) in _PLAIN and stem not in in_folders
        if len(found) == 1 and (plain or not labelled):
            groups.append(_Group(found, "single"))
        else:
            groups.append(_Group(_chosen_languages(found, reading, stem in in_folders), "lines"))
    if not groups:
        raise DataError(
            "contains no files to read",
            where=names[0],
            hint="Expected .tsv, .jsonl or .tmx files, or two parallel files",
        )
    return groups


def _stem_and_language(file: str) -> tuple[str, str]:
    """``a/train`` and ``de`` for ``a/train.de.gz``, ``a/train.de.txt`` and ``a/train.DE``."""
    path = Path(file.removesuffix(".gz").removesuffix(".GZ"))
    if path.suffix.lower() in (".txt", ".text") and len(path.suffixes) > 1:
        path = path.with_suffix("")
    return str(path.with_suffix("")), path.suffix.removeprefix(".").lower()


def _chosen_languages(
    found: Mapping[str, str], reading: TranslateReading, in_folder: bool
) -> dict[str, str]:
    """The files of source and target, in this order."""
    given = [reading.source_column, reading.target_column]
    where = next(iter(found.values()))
    if all(given):
        wanted = [language.lower() for language in given if language]
        if missing := [language for language in wanted if language not in found]:
            raise DataError(
                f"has no parallel file with the extension .{missing[0]}",
                where=where,
                hint=f"Found next to it: {list_names([f'.{name}' for name in found])}",
            )
        return {language: found[language] for language in wanted}
    if len(found) == 2 and not in_folder and not any(given):
        return dict(found)
    if len(found) == 1:
        raise DataError(
            "is plain text without a parallel file",
            where=where,
            hint="Pass both files, such as train.de train.en, or a table, JSON lines or TMX",
        )
    raise UsageError(
        f"has {len(found)} parallel files; the source is ambiguous",
        where=where,
        hint="Set --source-column and --target-column to two of: " + list_names(list(found)),
    )


def _read_parallel(
    group: _Group, reading: TranslateReading, pair: _PairChecker, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    names = list(group.files.values())
    split = split_named(Path(names[0]).name)
    opened = [open_lines(name, encoding=reading.encoding) for name in names]
    shown = (f"{lines.source} (encoding {lines.encoding})" for lines in opened)
    note(f"parallel files, source first: {', '.join(shown)}")
    numbers = [0, 0]
    iterators = [iter(lines) for lines in opened]
    for both in zip_longest(*iterators):
        if None in both:
            longer = 0 if both[1] is None else 1
            rest = 1 + sum(1 for _ in iterators[longer])
            raise DataError(
                f"has {numbers[0]:,} lines, but {names[longer]} has {numbers[0] + rest:,}",
                where=names[1 - longer],
                hint="Parallel files are aligned: line N of one translates line N of the other",
            )
        source, target = both
        numbers = [source.number, target.number]
        problem = source.problem or (target.problem and f"in {names[1]}, {target.problem}")
        if problem:
            yield Refusal(names[0], source.number, problem)
            continue
        texts = [line.text.rstrip("\r\n") for line in both]
        yield pair(*texts, file=names[0], line=source.number, split=split)


def _read_single(
    group: _Group, reading: TranslateReading, pair: _PairChecker, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    """A table, JSON lines, or, for prediction, one source per line."""
    (name,) = group.files.values()
    if group.kind == "tfds":
        for part, table in open_tfds(name):
            yield from _read_table(
                table, split_named(part), reading, pair, labelled=labelled, note=note
            )
        return
    split = None if name == "-" else split_named(Path(name).name)
    opened: str | Lines = name
    if group.kind == "single" or group.kind == "lines":
        opened = open_lines(name, encoding=reading.encoding)
        if not _is_table(opened, reading):
            if labelled:
                raise DataError(
                    "contains no pairs",
                    where="stdin" if name == "-" else name,
                    hint="Use two parallel files, a table with two columns, JSON lines or TMX",
                )
            note(f"{name}: one source per line, encoding {opened.encoding}")
            for line in opened:
                text = line.text.rstrip("\r\n")
                if line.problem:
                    yield Refusal(name, line.number, line.problem)
                else:
                    yield pair(text, None, file=name, line=line.number, split=split)
            return
    table = open_table(
        opened,
        header=_HEADER[reading.header],
        delimiter=_delimiter(reading),
        encoding=reading.encoding,
        names=_names(reading),
    )
    yield from _read_table(table, split, reading, pair, labelled=labelled, note=note)


def _is_table(lines: Lines, reading: TranslateReading) -> bool:
    """Whether a file of unknown extension has columns: commas alone also occur in sentences."""
    if lines.delimiter or reading.delimiter or looks_like_json(lines):
        return True
    return sniff_delimiter(lines.head, ("\t",)) is not None


def _read_table(
    table: Table,
    split: str | None,
    reading: TranslateReading,
    pair: _PairChecker,
    *,
    labelled: bool,
    note: Note,
) -> Iterator[Row | Refusal]:
    for decision in table.notes:
        note(decision)
    nested = [record[NESTED] for record in table.preview if isinstance(record.get(NESTED), dict)]
    columns = list(nested[0]) if nested else table.columns
    source, target = _choose_columns(columns, table.source, reading, labelled=labelled)
    if source not in ("source", "src") or target not in ("target", "tgt", None):
        note(
            f"{table.source}: the source is in {source!r}"
            + f", the target in {target!r}" * bool(target)
        )
    for item in table:
        if isinstance(item, Refusal):
            yield item
            continue
        line, record = item
        texts = record.get(NESTED) if nested else record
        texts = texts if isinstance(texts, dict) else {}
        yield pair(
            texts.get(source),
            texts.get(target) if target else None,
            file=table.source,
            line=line,
            split=split,
            record=record,
        )


def _choose_columns(
    columns: Sequence[str], where: str, reading: TranslateReading, *, labelled: bool
) -> tuple[str, str | None]:
    """The columns of source and target: from the options, by usual names, or the first two."""
    given_source, given_target = reading.source_column, reading.target_column
    if labelled and len(columns) < 2:
        raise DataError("has only one column; pairs need two", where=where)
    by_order = len(columns) == 2 and columns[0] not in TARGET_COLUMNS
    source = target = None
    is_named = given_source or not by_order or usual_column(columns, SOURCE_COLUMNS)
    if is_named and (len(columns) > 1 or given_source in columns):
        source = find_column(columns, given_source, SOURCE_COLUMNS, what="source", where=where)
    if not labelled:
        return source or columns[0], None
    if given_target or not by_order or usual_column(columns, TARGET_COLUMNS):
        target = find_column(columns, given_target, TARGET_COLUMNS, what="target", where=where)
    if source is None:
        source = columns[1] if columns[0] == target else columns[0]
    if target is None:
        target = columns[1] if columns[0] == source else columns[0]
    if source == target:
        raise UsageError(f"column {source!r} cannot be both source and target", where=where)
    return source, target


def _read_memory(
    name: str, reading: TranslateReading, pair: _PairChecker, note: Note
) -> Iterator[Row | Refusal]:
    memory = Memory(name)
    known, header = memory.languages, memory.source_language
    source = reading.source_column or header or next(iter(known), "")
    others = [each for each in known if each != source and not each.startswith(f"{source}-")]
    target = reading.target_column or next(iter(others), "")
    if not reading.target_column and len(others) > 1:
        raise UsageError(
            f"has {len(known)} languages; the target is ambiguous",
            where=name,
            hint="Set --source-column and --target-column to two of: " + list_names(known),
        )
    note(f"{name}: from {source or '?'} to {target or '?'}")
    split = split_named(Path(name).name)
    for unit in memory:
        yield pair(
            text_of(unit, source),
            text_of(unit, target),
            file=name,
            line=unit.line,
            split=split,
            record=unit.texts,
        )


def _names(reading: TranslateReading) -> frozenset[str]:
    given = (reading.source_column, reading.target_column)
    named = {name.casefold() for name in given if name and not name.isdigit()}
    return frozenset((*SOURCE_COLUMNS, *TARGET_COLUMNS)) | named


def _delimiter(reading: TranslateReading) -> str | None:
    given = reading.delimiter
    return "\t" if given and given.lower() in ("tab", r"\t") else given
