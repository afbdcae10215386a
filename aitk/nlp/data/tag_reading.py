"""Rows of tagged words from files in many formats.

``.spacy`` is a DocBin, ``.conllu`` and ``.conll`` hold columns, ``.json`` and ``.jsonl`` records
(``formats.tag_records``); other text files are looked at. To predict, a plain file is a text a
line, and a table has a text column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note
from aitk.core.io import encodings
from aitk.core.io.files import check_file, walk_files
from aitk.core.io.json_items import read_items
from aitk.core.io.lines import Lines, open_lines
from aitk.core.io.names import split_named
from aitk.core.io.tables import file_suffix, find_column, open_table
from aitk.core.privacy.redaction import redactor_of
from aitk.nlp.data.formats.conll import find_columns, looks_like_columns, read_columns
from aitk.nlp.data.formats.docbin import read_docbin
from aitk.nlp.data.formats.tag_records import TEXTS, texts_of
from aitk.nlp.data.formats.tagged import Counts, Tagged, fields_of, record_of, without_personal_data
from aitk.nlp.data.options import TagReading

_COLUMN_FILES = (".conll", ".conllu", ".iob", ".iob2", ".bio")
_JSON_FILES = (".json", ".jsonl", ".ndjson")
_KNOWN = (*_COLUMN_FILES, *_JSON_FILES, ".spacy", ".tsv", ".txt", ".csv", ".parquet")

#: Line, what was found, and the record as it stood in the file.
_Item = tuple[int, Tagged | str, dict[str, Any]]


def read_tagged(
    sources: Sequence[str], reading: TagReading, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    """Stream rows (see ``tagged``); refusals in place of refused records.

    Args:
        sources: files, folders, ``-`` for stdin.
        labelled: rows must have tags.
        note: receives notes on automatic decisions.

    Raises:
        DataError: a file is missing or its format is unknown.
        UsageError: an option names a column or encoding that does not exist.
    """
    encodings.check(reading.encoding)
    redactor = redactor_of(reading)
    for source in _files(sources, note):
        counts = Counts()
        split = split_named(Path(source).name) if source != "-" else None
        for item in _items(source, reading, labelled=labelled, note=note):
            if isinstance(item, Refusal):
                yield item
                continue
            line, found, record = item
            fields: dict[str, Any] = {}
            problem = found if isinstance(found, str) else None
            if isinstance(found, Tagged):
                fields, problem = fields_of(found, counts, labelled=labelled)
            if problem:
                yield Refusal(source, line, problem)
                continue
            redacted: Mapping[str, int] = {}
            if redactor is not None:
                before, fields = fields["text"], without_personal_data(fields, redactor)
                redacted = redactor.take_counts()
                if (
                    fields["text"] != before
                ):  # predictions are offsets in the text that the model reads
                    record = record_of(fields)
            yield Row(fields, source, line, split, {} if labelled else record, redacted)
        if counts.widened:
            note(f"{source}: {counts.widened:,} spans were widened to whole words")


def refuse_new_tags(
    items: Iterable[Row | Refusal], known: Sequence[str]
) -> Iterator[Row | Refusal]:
    """Rows whose tags are all known, and refusals."""
    for item in items:
        if isinstance(item, Row):
            new = sorted(set(item.fields["tags"]) - set(known))
            if new:
                reason = f"the tag {new[0]!r} is unseen in training"
                item = Refusal(item.file, item.line, reason)
        yield item


def _files(sources: Sequence[str], note: Note) -> Iterator[str]:
    for source in sources:
        if source == "-" or not Path(source).is_dir():
            if source != "-":
                check_file(Path(source))
            yield source
            continue
        paths = [str(path) for path in walk_files(Path(source), note)]
        kept = [path for path in paths if file_suffix(path) in _KNOWN]
        if not kept:
            hint = f"Expected files with the extensions {', '.join(_KNOWN)}"
            raise DataError("contains no files to read", where=source, hint=hint)
        note(f"{source}: {len(kept)} files read, {len(paths) - len(kept)} ignored")
        yield from kept


def _items(
    source: str, reading: TagReading, *, labelled: bool, note: Note
) -> Iterator[_Item | Refusal]:
    """The content of a file, by its extension, otherwise by its content."""
    suffix = file_suffix(source) if source != "-" else ""
    if suffix == ".spacy":
        note(f"{source}: a spaCy DocBin")
        for number, found in read_docbin(source, tag=reading.tag_column, labelled=labelled):
            yield number, found, _record(found)
        return
    if suffix in (".csv", ".parquet"):
        yield from _table(source, reading, labelled=labelled)
        return
    lines = open_lines(source, encoding=reading.encoding)
    first = lines.beginning.lstrip()
    if suffix in _JSON_FILES or (suffix not in _COLUMN_FILES and first.startswith(('{"', "[{"))):
        yield from _json(lines, reading, labelled=labelled)
    elif suffix in _COLUMN_FILES or looks_like_columns(lines, labelled=labelled):
        columns = find_columns(
            lines,
            word=reading.word_column,
            tag=reading.tag_column,
            scheme=reading.scheme,
            labelled=labelled,
            note=note,
        )
        for item in read_columns(lines, columns):
            yield item if isinstance(item, Refusal) else (*item, _record(item[1]))
    elif labelled:
        raise DataError(
            "has no format with tags",
            where=source,
            hint="Use CoNLL columns, CoNLL-U, a .spacy file, or JSON with spans",
        )
    else:
        note(f"{source}: one text per line, encoding {lines.encoding}")
        for line in lines:
            text = line.text.strip("\r\n")
            if line.problem:
                yield Refusal(source, line.number, line.problem)
            elif text.strip():
                yield line.number, Tagged(text), {"text": text}


def _json(lines: Lines, reading: TagReading, *, labelled: bool) -> Iterator[_Item | Refusal]:
    for item in read_items(lines):
        if isinstance(item, Refusal):
            yield item
            continue
        line, value = item
        found = texts_of(value, text=reading.text_column, tag=reading.tag_column, labelled=labelled)
        for each in found:
            record = value if isinstance(value, dict) and "paragraphs" not in value else None
            yield line, each, record or _record(each)


def _table(source: str, reading: TagReading, *, labelled: bool) -> Iterator[_Item | Refusal]:
    if labelled:
        raise DataError(
            "is a table, which cannot hold tags of words",
            where=source,
            hint="Use CoNLL columns, CoNLL-U, a .spacy file, or JSON with spans",
        )
    table = open_table(source, encoding=reading.encoding, names=frozenset(TEXTS))
    column = table.columns[0]
    if len(table.columns) > 1:
        column = find_column(
            table.columns, reading.text_column, TEXTS, what="text", where=table.source
        )
    for item in table:
        if isinstance(item, Refusal):
            yield item
            continue
        line, record = item
        text = record.get(column)
        yield line, Tagged(text) if isinstance(text, str) else "it has no text", record


def _record(found: Tagged | str) -> dict[str, Any]:
    return record_of({"text": found.text}) if isinstance(found, Tagged) else {}
