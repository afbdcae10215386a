"""Rows of text, with or without labels, from files in many formats.

A table has a text column, or several that are joined, and, for labelled data, a label column.
A ``.txt`` file holds one text per line, optionally with fastText's ``__label__`` prefix; in a
folder that is read for a labelled task, it is one whole text, and its folder names the label.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.labels import LabelReader, MultiLabelReading, NameReader
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.score_task import ScoreReader
from aitk.core.contract.task import Note, once
from aitk.core.io import encodings
from aitk.core.io.delimited import DELIMITERS, sniff_delimiter
from aitk.core.io.lines import MAX_LINE_BYTES, Lines, open_lines
from aitk.core.io.names import split_named
from aitk.core.io.tables import Table, looks_like_json, open_table
from aitk.core.io.tfds_source import open_tfds
from aitk.core.privacy.redaction import redactor_of, with_counts
from aitk.nlp.data.cleaning import make_cleaner
from aitk.nlp.data.columns import COLUMN_NAMES, choose_columns, find_pair_column
from aitk.nlp.data.options import ScoreReading, TextReading
from aitk.nlp.data.sources import Source, find_sources

#: Separator of joined columns: the title is a line of its own.
JOINED_BY = "\n"
FASTTEXT_LABEL = "__label__"
_HEADER = {"auto": None, "yes": True, "no": False}


def read_texts(
    sources: Sequence[str],
    reading: TextReading,
    *,
    labelled: bool,
    label: bool,
    note: Note,
) -> Iterator[Row | Refusal]:
    """Stream rows ``{"text": ..., "label": ...}``, cleaned; refusals in place of refused records.

    Where rows have any number of labels they hold ``labels``, a list, instead of ``label``.

    Args:
        sources: files, folders, ``-`` for stdin, ``tfds:NAME``.
        labelled: rows must have labels (``label`` must be True). Otherwise ``Row.record`` carries
            the original record.
        label: the task has labels at all. If not, blank lines of a ``.txt`` are skipped.
        note: receives notes on automatic decisions, each once.

    Raises:
        DataError: a file is missing or is not text, or its columns cannot be identified.
        UsageError: an option names a column, language or encoding that does not exist.
    """
    encodings.check(reading.encoding)
    redactor = redactor_of(reading)
    clean = make_cleaner(reading, redactor)
    rows = _read_texts(sources, reading, clean, labelled=labelled, label=label, note=once(note))
    yield from with_counts(rows, redactor)


def _read_texts(
    sources: Sequence[str],
    reading: TextReading,
    clean: Callable[[str], str],
    *,
    labelled: bool,
    label: bool,
    note: Note,
) -> Iterator[Row | Refusal]:
    # Identical for files with the same columns.
    chosen: dict[tuple[str, ...], tuple[Sequence[str], Sequence[str]]] = {}
    given_pair = getattr(reading, "pair_column", None)
    keep_na = getattr(reading, "keep_na", False)
    for source in find_sources(sources, labelled=labelled, label=label, note=note):
        if given_pair and source.kind == "document":
            raise _no_pairs(source.name)
        if source.kind == "document":
            labels = _label_reader(reading, NameReader(keep_na=True))
            yield _read_document(source, reading, clean, labels, labelled=labelled, note=note)
            continue
        for split, table in _tables_of(source, reading, labelled=labelled, label=label):
            names = NameReader(keep_na=keep_na)
            labels = _label_reader(reading, names)
            if given_pair and isinstance(table, Lines):
                raise _no_pairs(table.source)
            if isinstance(table, Lines) and _is_fasttext(table):
                note(f"{table.source}: fastText format")
                yield from _read_fasttext(table, split, clean, labels, labelled=labelled)
                continue
            if isinstance(table, Lines):
                note(f"{table.source}: one text per line, encoding {table.encoding}")
                yield from _read_lines(table, split, clean, keep_blank=label)
                continue
            for decision in table.notes:
                note(decision)
            columns = tuple(table.columns)
            if columns not in chosen:
                chosen[columns] = choose_columns(table, reading, labelled, note)
            text_columns, label_columns = chosen[columns]
            if labelled and source.kind == "tfds" and _hides_labels(table, label_columns):
                note(f"{table.source}: skipped, its labels are not public")
                continue
            pair = find_pair_column(table, reading)
            yield from _read_table(table, split, clean, text_columns, pair, label_columns, labels)
            for decision in names.notes(table.source):
                note(decision)


def _label_reader(reading: TextReading, names: NameReader) -> LabelReader | ScoreReader:
    if isinstance(reading, ScoreReading):
        return ScoreReader()
    many = reading if isinstance(reading, MultiLabelReading) else MultiLabelReading()
    return LabelReader(many, names)


def _tables_of(
    source: Source, reading: TextReading, *, labelled: bool, label: bool
) -> Iterator[tuple[str | None, Table | Lines]]:
    """The tables of a source with their splits, or its lines if it has no columns."""
    if source.kind == "tfds":
        for name, table in open_tfds(source.name):
            yield split_named(name), table
        return
    opened: str | Lines = source.name
    if source.kind == "lines":
        opened = open_lines(source.name, encoding=reading.encoding)
        is_fasttext = _is_fasttext(opened)
        if is_fasttext or not _is_table(opened, reading, labelled=labelled, label=label):
            if labelled and not is_fasttext:
                hint = "Use a table with a label column, or a folder per label"
                raise DataError("contains texts without labels", where=source.name, hint=hint)
            yield source.split, opened
            return
    table = open_table(
        opened,
        header=_HEADER[reading.header],
        delimiter=_delimiter(reading),
        encoding=reading.encoding,
        names=COLUMN_NAMES,
    )
    yield source.split, table


def _is_table(lines: Lines, reading: TextReading, *, labelled: bool, label: bool) -> bool:
    """Whether stdin, or a file of unknown extension, has columns.

    Commas alone are not evidence, since sentences have them: a line must begin a JSON object, the
    first line must name a column, every line must have a TAB, or labels must be required.
    """
    if Path(lines.source).suffix == ".txt" and not label:
        return False
    first = next(iter(lines.head), "").strip("\r\n").casefold()
    if lines.delimiter or looks_like_json(lines) or (_delimiter(reading) or "\n") in first:
        return True
    wanted = COLUMN_NAMES | {name.casefold() for name in reading.text_column or ()}
    fields = first.split(sniff_delimiter(lines.head) or "\n")
    if any(field.strip(' "') in wanted for field in fields):
        return True
    return sniff_delimiter(lines.head, DELIMITERS if labelled else ("\t",)) is not None


def _delimiter(reading: TextReading) -> str | None:
    given = reading.delimiter
    return "\t" if given and given.lower() in ("tab", r"\t") else given


def _no_pairs(source: str) -> UsageError:
    return UsageError(
        f"{source} has no columns", where="--pair-column", hint="Use a table: .csv, .tsv or .jsonl"
    )


def _hides_labels(table: Table, label_columns: Sequence[str]) -> bool:
    return all(record.get(name) is None for record in table.preview for name in label_columns)


def _read_table(
    table: Table,
    split: str | None,
    clean: Callable[[str], str],
    text_columns: Sequence[str],
    pair_column: str | None,
    label_columns: Sequence[str],
    labels: LabelReader | ScoreReader,
) -> Iterator[Row | Refusal]:
    file = table.source
    single = text_columns[0] if len(text_columns) == 1 else None
    for item in table:
        if isinstance(item, Refusal):
            yield item
            continue
        line, record = item
        value = record.get(single) if single else _joined(record, text_columns)
        text, problem = cleaned_text(value, clean)
        fields: dict[str, Any] = {"text": text}
        if pair_column is not None and not problem:
            fields["pair"], problem = cleaned_text(record.get(pair_column), clean)
            problem = problem and f"in its second text: {problem}"
        if label_columns and not problem:
            named, problem = labels.read(record, label_columns)
            fields |= named
        if problem:
            yield Refusal(file, line, problem)
        else:
            yield Row(fields, file, line, split, {} if label_columns else record)


def _joined(record: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """The value of a column, or the joined texts of several; a non-text value replaces all."""
    if len(columns) == 1:
        return record.get(columns[0])
    values = [value for name in columns if (value := record.get(name)) not in (None, "")]
    odd = next((value for value in values if not isinstance(value, str | int | float)), None)
    if len(values) < 2 or odd is not None:
        return odd if odd is not None else next(iter(values), None)
    return JOINED_BY.join(map(str, values))


def _is_fasttext(lines: Lines) -> bool:
    """Whether every line begins with a fastText label."""
    head = [line for line in lines.head if line.strip()]
    return bool(head) and all(line.lstrip().startswith(FASTTEXT_LABEL) for line in head)


def _read_fasttext(
    lines: Lines,
    split: str | None,
    clean: Callable[[str], str],
    labels: LabelReader | ScoreReader,
    *,
    labelled: bool,
) -> Iterator[Row | Refusal]:
    for number, raw, problem in lines:
        words = raw.split()
        marks = list(itertools.takewhile(lambda word: word.startswith(FASTTEXT_LABEL), words))
        if not words and not problem:
            continue
        text, problem = (
            ("", problem) if problem else cleaned_text(" ".join(words[len(marks) :]), clean)
        )
        fields: dict[str, Any] = {"text": text}
        if labelled and not problem:
            names = [mark.removeprefix(FASTTEXT_LABEL) for mark in marks]
            several = labels.has_many or len(names) > 1
            named, problem = labels.read_value(names if several else next(iter(names), None))
            fields |= named
        if problem:
            yield Refusal(lines.source, number, problem)
        else:
            yield Row(fields, lines.source, number, split, {} if labelled else {"text": text})


def _read_lines(
    lines: Lines, split: str | None, clean: Callable[[str], str], *, keep_blank: bool
) -> Iterator[Row | Refusal]:
    for number, raw, problem in lines:
        raw = raw.rstrip("\r\n")
        if not (raw.strip() or problem or keep_blank):
            continue
        text, problem = ("", problem) if problem else cleaned_text(raw, clean)
        if problem:
            yield Refusal(lines.source, number, problem)
        else:
            yield Row({"text": text}, lines.source, number, split, {"text": raw})


def _read_document(
    source: Source,
    reading: TextReading,
    clean: Callable[[str], str],
    labels: LabelReader | ScoreReader,
    *,
    labelled: bool,
    note: Note,
) -> Row | Refusal:
    name = source.name
    try:
        with Path(name).open("rb") as file:
            raw = file.read(MAX_LINE_BYTES + 1)
        if len(raw) > MAX_LINE_BYTES:
            return Refusal(name, 1, f"the text is longer than {MAX_LINE_BYTES:,} bytes")
        encoding = reading.encoding or encodings.find_mark(raw)
        encoding = encoding or encodings.detect(raw.splitlines(), name)
        content = raw.decode(encoding)
    except (OSError, UnicodeError, DataError) as error:
        return Refusal(name, 1, f"it cannot be read ({error})")
    if encoding != "utf-8":
        note(f"{Path(name).parent}: some files use the encoding {encoding}")
    text, problem = cleaned_text(content, clean)
    if problem:
        return Refusal(name, 1, problem)
    if labelled:
        named, problem = labels.read_value(source.label)
        if problem:
            return Refusal(name, 1, problem)
        return Row({"text": text, **named}, name, 1, source.split)
    return Row({"text": text}, name, 1, source.split, {"file": name})


def cleaned_text(value: Any, clean: Callable[[str], str]) -> tuple[str, str | None]:
    """The cleaned text of a value, or the reason why there is none."""
    if not isinstance(value, str):
        if value is None:
            return "", "it has no text"
        if not isinstance(value, int | float):
            return "", f"its text is a {type(value).__name__}, not a string"
        value = str(value)
    if "\0" in value:
        return "", "it contains a NUL byte"
    text = clean(value)
    if not text:
        return "", "its text is empty" + (" after cleaning" if value.strip() else "")
    return text, None
