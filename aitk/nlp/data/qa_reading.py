"""Rows of questions about contexts from the user's files.

A row is ``{"id", "context", "question", "answers", "answer_starts"}``: the texts of the answers
and where each begins in the context, in characters; none where the context holds no answer. Of
several answers some may not occur in the context: they come last, their start is
``NOT_IN_CONTEXT``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note
from aitk.core.io import encodings
from aitk.core.io.files import check_file
from aitk.core.io.json_items import read_items
from aitk.core.io.lines import open_lines
from aitk.core.io.names import split_named
from aitk.core.io.tables import file_suffix, open_table
from aitk.core.privacy.redaction import Redactor, redactor_of
from aitk.nlp.data.formats.squad import QUESTIONS, Question, questions_of
from aitk.nlp.data.options import QaReading

_TABLES = (".csv", ".tsv", ".parquet")
MAX_CONTEXT_CHARACTERS = 10_000_000
NOT_IN_CONTEXT = -1

_Item = tuple[int, Question | str]


@dataclasses.dataclass
class _Moved:
    """Answers of one source whose positions were corrected, and questions with answers that do
    not occur in the context."""

    count: int = 0
    elsewhere: int = 0


def read_questions(
    sources: Sequence[str], reading: QaReading, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    """Stream rows; refusals in place of refused records.

    Args:
        sources: files, or ``-`` for stdin.
        labelled: answers are required, each of which must occur in its context.
        note: receives notes on automatic decisions.

    Raises:
        DataError: a file is missing or contains no questions.
        UsageError: an option names an encoding that does not exist.
    """
    encodings.check(reading.encoding)
    redactor = redactor_of(reading)
    for item in _read(sources, reading, labelled=labelled, note=note):
        yield item if redactor is None else _without_personal_data(item, redactor)


def _read(
    sources: Sequence[str], reading: QaReading, *, labelled: bool, note: Note
) -> Iterator[Row | Refusal]:
    for source in sources:
        if source != "-":
            check_file(Path(source))
        split = split_named(Path(source).name) if source != "-" else None
        moved = _Moved()
        for item in _items(source, reading, labelled=labelled):
            if isinstance(item, Refusal):
                yield item
                continue
            line, found = item
            row = found if isinstance(found, str) else _fields(found, moved, labelled=labelled)
            if isinstance(row, str):
                yield Refusal(source, line, row)
            else:
                record = {} if labelled else dict(found.record)  # type: ignore[union-attr]
                yield Row(row, source, line, split, record)
        if moved.count:
            note(
                f"{source}: {moved.count:,} answers had wrong positions in their context: corrected"
            )
        if moved.elsewhere:
            note(
                f"{source}: {moved.elsewhere:,} questions have further answers that are not in the"
                " context: used in scores alone"
            )


def _without_personal_data(item: Row | Refusal, redactor: Redactor) -> Row | Refusal:
    return item if isinstance(item, Refusal) else _row_without_personal_data(item, redactor)


def _row_without_personal_data(item: Row, redactor: Redactor) -> Row:
    """The row with a placeholder in place of each find; affected answers move and widen."""
    fields = dict(item.fields)
    context = redactor.redact(fields["context"])
    fields |= {"context": context.text, "question": redactor(fields["question"])}
    if "answers" in fields:
        answers, starts = [], []
        for text, start in zip(fields["answers"], fields["answer_starts"], strict=True):
            if start == NOT_IN_CONTEXT:
                starts.append(start)
                answers.append(redactor(text))
                continue
            starts.append(context.moved(start))
            end = context.moved(start + len(text), end=True)
            answers.append(context.text[starts[-1] : end])
        fields |= {"answers": answers, "answer_starts": starts}
    # Predictions count the characters of the context that the model reads.
    known = {name: fields[name] for name in ("context", "question") if name in item.record}
    counts = redactor.take_counts()
    record = {**item.record, **known}
    return dataclasses.replace(item, fields=fields, record=record, redacted=counts)


def ask_about(source: str, question: str, reading: QaReading) -> Row:
    """The row of one question about a text file, without personal data where ``reading`` says so.

    Raises:
        DataError: the file does not exist or is not text.
        UsageError: the question is empty.
    """
    if not question.strip():
        raise UsageError("is empty", where="--question")
    fields = {"id": "", "context": _text_of(source), "question": question.strip()}
    row = Row(fields, source, 1, None, {"question": question.strip()})
    redactor = redactor_of(reading)
    return row if redactor is None else _row_without_personal_data(row, redactor)


def _items(source: str, reading: QaReading, *, labelled: bool) -> Iterator[_Item | Refusal]:
    keys = (reading.context_column, reading.question_column, reading.answer_column)
    suffix = file_suffix(source) if source != "-" else ""
    if suffix in _TABLES:
        for item in open_table(source, encoding=reading.encoding, names=frozenset(QUESTIONS)):
            if isinstance(item, Refusal):
                yield item
                continue
            line, record = item
            for found in questions_of(record, keys=keys, labelled=labelled):
                yield line, _with_record(found, record)
        return
    lines = open_lines(source, encoding=reading.encoding)
    first = lines.beginning.lstrip()
    if first.startswith(("{", "[")):
        for item in read_items(lines, key="data"):
            if isinstance(item, Refusal):
                yield item
                continue
            line, value = item
            flat = isinstance(value, dict) and not {"paragraphs", "qas"} & set(value)
            for found in questions_of(value, keys=keys, labelled=labelled):
                yield line, _with_record(found, value) if flat else found
    else:
        raise DataError(
            "contains no questions",
            where=source,
            hint="Use SQuAD's JSON, or JSON lines with context and question; predict takes"
            " --context FILE with --question TEXT as well",
        )


def _with_record(found: Question | str, record: dict[str, Any]) -> Question | str:
    return found if isinstance(found, str) else dataclasses.replace(found, record=record)


def _fields(found: Question, moved: _Moved, *, labelled: bool) -> dict[str, Any] | str:
    """The fields of a row, or the reason why it is refused."""
    if len(found.context) > MAX_CONTEXT_CHARACTERS:
        return f"its context is longer than {MAX_CONTEXT_CHARACTERS:,} characters"
    fields: dict[str, Any] = {
        "id": found.id,
        "context": found.context,
        "question": found.question.strip(),
    }
    if not labelled:
        return fields
    texts, starts = [], []
    missing: list[str] = []
    for text, start in found.answers or ():
        place = locate(found.context, text, start)
        if place is None:
            missing.append(text.strip())
            continue
        bare = text.strip()
        moved.count += _is_moved(found.context, text, start)
        texts.append(bare)
        starts.append(place)
    if missing and not texts:
        of = f"question {found.id}: " if found.id else ""
        return f"{of}its answer {missing[0][:60]!r} does not occur in its context"
    moved.elsewhere += bool(missing)
    # The official scores compare with every answer; only those in the context are learned from.
    elsewhere = [NOT_IN_CONTEXT] * len(missing)
    return fields | {"answers": [*texts, *missing], "answer_starts": [*starts, *elsewhere]}


def locate(context: str, answer: str, start: int | None) -> int | None:
    """Start of an answer (stripped): the given position, or the nearest occurrence."""
    bare = answer.strip()
    expected = None if start is None else start + len(answer) - len(answer.lstrip())
    if expected is not None and expected >= 0 and context.startswith(bare, expected):
        return expected
    places = []
    at = context.find(bare)
    while at >= 0:
        places.append(at)
        at = context.find(bare, at + 1)
    if not places:
        return None
    return min(places, key=lambda place: abs(place - (expected or 0)))


def _is_moved(context: str, answer: str, start: int | None) -> bool:
    return start is not None and not (start >= 0 and context.startswith(answer, start))


def _text_of(source: str) -> str:
    """The whole text of a file."""
    lines = open_lines(source)
    pieces, size = [], 0
    for piece in lines.chunks():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_CONTEXT_CHARACTERS:
            most = f"{MAX_CONTEXT_CHARACTERS:,}"
            raise DataError(f"is longer than {most} characters", where=source)
    text = "".join(pieces)
    if "\0" in text:
        raise DataError("contains a NUL byte", where=source)
    return text.replace("\r\n", "\n")
