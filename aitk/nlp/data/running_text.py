"""Running text: text files as passages of a bounded length, with their lines and blank lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Refusal, Row
from aitk.core.contract.task import Note, once
from aitk.core.io.lines import Lines, open_lines
from aitk.core.privacy.redaction import redactor_of, with_counts
from aitk.nlp.data.cleaning import make_cleaner
from aitk.nlp.data.options import GenerateReading
from aitk.nlp.data.reading import cleaned_text
from aitk.nlp.data.sources import find_sources


def read_passages(
    sources: Sequence[str], reading: GenerateReading, *, note: Note
) -> Iterator[Row | Refusal]:
    """Stream rows ``{"text": ...}`` of up to ``reading.join_lines`` characters.

    A passage ends with a line, if one ends in it, else with a word. An unreadable line is refused
    and ends the passage before it.

    Raises:
        DataError: a file is missing or is not text.
        UsageError: a source has columns.
    """
    redactor = redactor_of(reading)
    clean = make_cleaner(reading, redactor)
    yield from with_counts(_read(sources, reading, clean, note=once(note)), redactor)


def _read(
    sources: Sequence[str],
    reading: GenerateReading,
    clean: Callable[[str], str],
    *,
    note: Note,
) -> Iterator[Row | Refusal]:
    most = reading.join_lines or 0
    for source in find_sources(sources, labelled=False, label=False, note=note):
        if source.kind != "lines":
            raise UsageError(
                f"{source.name} has columns", where="--join-lines", hint="Give it text files"
            )
        lines = open_lines(source.name, encoding=reading.encoding)
        note(f"{lines.source}: running text, encoding {lines.encoding}")
        for item in _passages(lines, most):
            if isinstance(item, Refusal):
                yield item
                continue
            line, passage = item
            if not passage.strip():
                continue
            text, problem = cleaned_text(passage, clean)
            if problem:
                yield Refusal(lines.source, line, problem)
            else:
                yield Row({"text": text}, lines.source, line, source.split)


def _passages(lines: Lines, most: int) -> Iterator[tuple[int, str] | Refusal]:
    """Passages with the number of the line in which each begins."""
    held, first = "", 1
    for number, raw, problem in lines:
        if problem:
            yield first, held
            yield Refusal(lines.source, number, problem)
            held, first = "", number + 1
            continue
        held += raw.rstrip("\r\n") + "\n"
        while len(held) > most:
            passage = held[: _end(held, most)]
            yield first, passage
            held, first = held[len(passage) :], first + passage.count("\n")
    yield first, held


def _end(text: str, most: int) -> int:
    """Where a passage of a text ends: behind a line, a word, or ``most`` characters."""
    for mark in ("\n", " "):
        if (place := text.rfind(mark, 0, most)) >= 0:
            return place + 1
    return most
