"""A text with its words and their tags: the common form of every format of tagged text.

A row is ``{"text", "starts", "ends", "tags"}``: where each word begins and ends in the text, in
characters, and its tag (see ``tag_schemes``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aitk.core.contract.labels import MAX_LABEL_CHARACTERS, normalise
from aitk.core.privacy.redaction import Redactor
from aitk.nlp.data.formats.tag_schemes import OUTSIDE, WordSpan, find_scheme, spans_of, tags_of
from aitk.nlp.data.words import split_words

#: More words than any tagged sentence or document has.
MAX_WORDS = 100_000

Offsets = Sequence[tuple[int, int]]


@dataclass
class Tagged:
    """The content that a reader found in one record.

    Attributes:
        text: as it appears in the file.
        words: their positions; None if the format does not specify them.
        spans: (start, end, label) in characters.
        tags: of the words, in any scheme.
    """

    text: str
    words: Offsets | None = None
    spans: Sequence[tuple[int, int, str]] | None = None
    tags: Sequence[str] | None = None


@dataclass
class Counts:
    """Counts of changes in the rows of one source."""

    widened: int = 0
    changed: dict[str, int] = field(default_factory=dict)


def fields_of(
    found: Tagged, counts: Counts, *, labelled: bool
) -> tuple[dict[str, Any], str | None]:
    """The fields of a row, or the reason why there is none.

    A span that begins or ends inside a word is widened to whole words: a model tags words.
    """
    if "\0" in found.text:
        return {}, "it contains a NUL byte"
    words = list(found.words) if found.words is not None else split_words(found.text)
    if not words:
        return {}, "it has no words"
    if len(words) > MAX_WORDS:
        return {}, f"it has {len(words):,} words, more than {MAX_WORDS:,}"
    fields: dict[str, Any] = {
        "text": found.text,
        "starts": [start for start, _ in words],
        "ends": [end for _, end in words],
    }
    if not labelled:
        return fields, None
    if found.tags is not None:
        tags, problem = _normalised(found.tags)
        if not problem and len(tags) != len(words):
            problem = f"it has {len(words)} words but {len(tags)} tags"
        return fields | {"tags": tags}, problem
    if found.spans is None:
        return {}, "it has neither spans nor tags"
    spans, problem = _word_spans(found.text, words, found.spans, counts)
    return fields | {"tags": tags_of(spans, len(words))}, problem


def without_personal_data(fields: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The fields with a placeholder in place of each find, as one word.

    The placeholder has the tag of the first tagged word that it replaces.
    """
    redacted = redactor.redact(fields["text"])
    if not redacted.spans:
        return dict(fields)
    tags = fields.get("tags", [OUTSIDE] * len(fields["starts"]))
    words: list[tuple[int, int, str]] = []
    for start, end, tag in zip(fields["starts"], fields["ends"], tags, strict=True):
        start, end = redacted.moved(start), redacted.moved(end, end=True)
        if words and start < words[-1][1]:  # a find that spans several words or part of one
            first, last, known = words.pop()
            words.append((first, max(last, end), tag if known == OUTSIDE else known))
        else:
            words.append((start, end, tag))
    found: dict[str, Any] = {
        "text": redacted.text,
        "starts": [start for start, _, _ in words],
        "ends": [end for _, end, _ in words],
    }
    return found | ({"tags": [tag for _, _, tag in words]} if "tags" in fields else {})


def _normalised(tags: Sequence[str]) -> tuple[list[str], str | None]:
    """The tags in their stored form: IOB2, or plain."""
    names = [normalise(tag) for tag in tags]
    at = next((at for at, name in enumerate(names) if not name), None)
    if at is not None:
        return [], f"word {at + 1} has an empty tag"
    if any(len(name) > MAX_LABEL_CHARACTERS for name in names):
        return [], f"a tag is longer than {MAX_LABEL_CHARACTERS:,} characters"
    scheme = find_scheme([names])
    if scheme == "plain":
        return names, None
    spans, illegal = spans_of(names, scheme)
    if illegal:
        return [], f"word {illegal[0] + 1}: {illegal[1]}"
    return tags_of(spans, len(names)), None


def _word_spans(
    text: str, words: Offsets, spans: Sequence[tuple[int, int, str]], counts: Counts
) -> tuple[list[WordSpan], str | None]:
    """Spans in characters as spans in words."""
    found: list[WordSpan] = []
    at = 0  # first word of the next span, at the earliest
    for start, end, name in sorted(spans):
        label = normalise(name)
        quoted = repr(text[max(start, 0) : end][:40])
        if not label or label == OUTSIDE or len(label) > MAX_LABEL_CHARACTERS:
            return [], f"a span has no valid label: {name[:40]!r}"
        if not 0 <= start < end <= len(text):
            length = len(text)
            return [], f"the span {start} to {end} ({label}) is outside its {length} characters"
        while at < len(words) and words[at][1] <= start:
            at += 1
        last = at
        while last < len(words) and words[last][0] < end:
            last += 1
        if at == last:
            return [], f"the span {start} to {end} ({label}) contains no word: {quoted}"
        if found and found[-1][1] > at:
            return [], f"the span {quoted} ({label}) overlaps another; a word has only one tag"
        outer = text[words[at][0] : words[last - 1][1]]
        counts.widened += outer.strip() != text[start:end].strip()
        found.append((at, last, label))
    return found, None


def record_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The record that ``predict`` carries along if the file has none."""
    return {"text": fields["text"]}
