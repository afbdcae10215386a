"""Sentences in columns, one word per line, separated by empty lines: CoNLL, CoNLL-U, IOB files.

CoNLL-2003 (Tjong Kim Sang and De Meulder 2003), universaldependencies.org/format.html.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.errors import UsageError
from aitk.core.contract.rows import Refusal
from aitk.core.contract.task import Note
from aitk.core.io.lines import Line, Lines
from aitk.core.io.values import quoted
from aitk.nlp.data.formats.tag_schemes import Scheme, find_scheme, spans_of, tags_of
from aitk.nlp.data.formats.tagged import Tagged

CONLLU_COLUMNS = (
    "id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc",
)  # fmt: skip
_DOCUMENT_START = "-DOCSTART-"
_WORD_ID, _OTHER_ID = re.compile(r"[1-9]\d*"), re.compile(r"\d+[-.]\d+")
#: Written without spaces between words.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff"
                       r"\uf900-\ufaff\uff00-\uffef\U00020000-\U0003134f]")  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Positions of words and tags: column numbers from 0, and the tagging scheme."""

    word: int
    tag: int | None
    width: int
    tab: bool
    scheme: Scheme
    is_conllu: bool

    def split(self, text: str) -> list[str]:
        """The fields of a line."""
        text = text.rstrip("\r\n")
        return [field.strip() for field in text.split("\t")] if self.tab else text.split()


def looks_like_columns(lines: Lines, *, labelled: bool) -> bool:
    """Whether a text file has one word per line: its lines have the same few columns.

    Args:
        labelled: tags are required. Otherwise only TABs are evidence: sentences have spaces too.
    """
    full = [line.rstrip("\r\n") for line in lines.head if line.strip()]
    full = [line for line in full if not line.startswith("# ")]
    tab = _has_tabs(full)
    if len(full) < 2 or not (tab or labelled):
        return False
    widths = Counter(len(line.split("\t") if tab else line.split()) for line in full)
    width, lines_of_it = widths.most_common(1)[0]
    return 2 <= width <= 30 and lines_of_it >= 0.9 * len(full)


def find_columns(
    lines: Lines, *, word: str | None, tag: str | None, scheme: str, labelled: bool, note: Note
) -> Columns:
    """Find the columns of words and tags from the first lines of a file.

    Raises:
        UsageError: there is no such column.
    """
    full = [line.rstrip("\r\n") for line in lines.head if line.strip()]
    full = [line for line in full if not line.startswith(("# ", _DOCUMENT_START))] or full
    tab = _has_tabs(full)
    fields = [line.split("\t") if tab else line.split() for line in full]
    width = Counter(map(len, fields)).most_common(1)[0][0]
    is_conllu = width == len(CONLLU_COLUMNS) and any(_WORD_ID.fullmatch(row[0]) for row in fields)
    word_at = _place(word, width, lines.source, is_conllu=is_conllu, usual=1 if is_conllu else 0)
    tag_at = None
    if labelled:
        usual = 3 if is_conllu else width - 1
        tag_at = _place(tag, width, lines.source, is_conllu=is_conllu, usual=usual)
        if tag_at == word_at:
            raise (
                UsageError(f"has {width} column and none for the tags", where=lines.source)
                if width == 1
                else UsageError("one column cannot hold both word and tag", where=lines.source)
            )
    found: Any = scheme
    if scheme == "auto":
        sentences = _sentences_of_head(lines, tab, width, tag_at)
        found = find_scheme(sentences) if tag_at is not None else "iob2"
    kind = "CoNLL-U" if is_conllu else f"{width} columns per word"
    says = f", tags in column {(tag_at or 0) + 1} ({found})" if labelled else ""
    note(f"{lines.source}: {kind}, words in column {word_at + 1}{says}, encoding {lines.encoding}")
    return Columns(word_at, tag_at, width, tab, found, is_conllu)


def read_columns(lines: Lines, columns: Columns) -> Iterator[tuple[int, Tagged] | Refusal]:
    """Stream ``(line, sentence)``; a bad line refuses its whole sentence."""
    sentence: list[tuple[Line, list[str]]] = []
    problem: Refusal | None = None
    for line in lines:
        fields = columns.split(line.text)
        if not line.text.strip():
            if sentence or problem:
                yield problem or _sentence(sentence, columns, lines.source)
            sentence, problem = [], None
        elif problem is None:
            reason = line.problem
            if not reason and len(fields) != columns.width:
                if line.text.startswith("#") or fields[0] == _DOCUMENT_START:
                    continue  # a comment
                reason = f"it has {len(fields)} columns instead of {columns.width}"
            if not reason and fields[0] == _DOCUMENT_START:
                continue
            if reason:
                problem = Refusal(lines.source, line.number, reason)
            else:
                sentence.append((line, fields))
    if sentence or problem:
        yield problem or _sentence(sentence, columns, lines.source)


def _sentence(
    rows: Sequence[tuple[Line, list[str]]], columns: Columns, source: str
) -> tuple[int, Tagged] | Refusal:
    """One sentence: its text joined, its tags as IOB2 or plain."""
    kept, surface = _conllu_words(rows) if columns.is_conllu else (list(rows), {})
    if isinstance(kept, Refusal) or not kept:
        line = rows[0][0].number
        return Refusal(
            source, line, kept.reason if isinstance(kept, Refusal) else "it has no words"
        )
    first = kept[0][0].number
    text, words = "", []
    for at, (place, fields) in enumerate(kept):
        word = fields[columns.word]
        if not word:
            return Refusal(source, place.number, "it has no word")
        if at and not surface.get(at - 1) and not _touch(text, word, columns):
            text += " "
        words.append((len(text), len(text) + len(word)))
        text += word
    if columns.tag is None:
        return first, Tagged(text, words)
    tags = [fields[columns.tag] for _, fields in kept]
    if "" in tags:
        return Refusal(source, kept[tags.index("")][0].number, "it has no tag")
    if columns.scheme != "plain":
        spans, illegal = spans_of(tags, columns.scheme)
        if illegal:
            return Refusal(source, kept[illegal[0]][0].number, illegal[1])
        tags = tags_of(spans, len(tags))
    return first, Tagged(text, words, tags=tags)


def _conllu_words(
    rows: Sequence[tuple[Line, list[str]]],
) -> tuple[list[tuple[Line, list[str]]] | Refusal, dict[int, bool]]:
    """The words of a sentence without ranges (1-2) and empty nodes (1.1), and the indices of words
    that no space follows."""
    kept: list[tuple[Line, list[str]]] = []
    touching: dict[int, bool] = {}
    range_end, range_touches = 0, False
    for line, fields in rows:
        number = fields[0]
        no_space = "SpaceAfter=No" in fields[9].split("|")
        if _OTHER_ID.fullmatch(number):
            if "-" in number:
                range_end, range_touches = int(number.partition("-")[2]), no_space
            continue
        if number != str(len(kept) + 1):
            reason = f"expected word {len(kept) + 1}, not {quoted(number)}"
            return Refusal("", line.number, reason), {}
        inside = len(kept) + 1 < range_end
        touching[len(kept)] = not inside and (
            range_touches if len(kept) + 1 == range_end else no_space
        )
        kept.append((line, fields))
    return kept, touching


def _touch(text: str, word: str, columns: Columns) -> bool:
    """Whether words are adjacent without a space, where the file does not specify spacing."""
    if columns.is_conllu:
        return False
    return bool(_UNSPACED.match(text[-1]) and _UNSPACED.match(word))


def _sentences_of_head(lines: Lines, tab: bool, width: int, tag: int | None) -> Iterator[list[str]]:
    sentence: list[str] = []
    for line in lines.head:
        fields = line.rstrip("\r\n").split("\t") if tab else line.split()
        if not line.strip():
            yield sentence
            sentence = []
        elif len(fields) == width and tag is not None and fields[0] != _DOCUMENT_START:
            sentence.append(fields[tag].strip())
    yield sentence


def _has_tabs(lines: Sequence[str]) -> bool:
    return sum("\t" in line for line in lines) > len(lines) / 2


def _place(wanted: str | None, width: int, source: str, *, is_conllu: bool, usual: int) -> int:
    """The requested column, by number from 1 (or from the end, -1) or CoNLL-U's name."""
    if wanted is None:
        return usual
    if is_conllu and wanted.lower() in CONLLU_COLUMNS:
        return CONLLU_COLUMNS.index(wanted.lower())
    digits = wanted.removeprefix("-")
    at = int(digits) if digits.isdecimal() and len(digits) < 4 else 0
    if not 1 <= at <= width:
        names = f" or one of {', '.join(CONLLU_COLUMNS)}" if is_conllu else ""
        raise UsageError(
            f"no column {quoted(wanted)}", where=source, hint=f"Use 1 to {width}{names}"
        )
    return width - at if wanted.startswith("-") else at - 1
