"""Conversion between tags of words and spans: IOB, IOB2, BILOU (BIOES), and plain tags.

Rows are stored as IOB2 (Tjong Kim Sang and Veenstra 1999) or, where tags have no prefix (parts of
speech), as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

OUTSIDE = "O"
#: Tagging schemes: ``plain`` tags do not form spans, such as parts of speech.
Scheme = Literal["iob", "iob2", "bilou", "plain"]
SCHEMES: tuple[Scheme, ...] = ("iob", "iob2", "bilou", "plain")

#: First word, the word after the last one, label.
WordSpan = tuple[int, int, str]

#: E and S of BIOES, M and W of BMEWO.
_SAME = {"B": "B", "I": "I", "M": "I", "L": "L", "E": "L", "U": "U", "S": "U", "W": "U"}


def find_scheme(tags: Iterable[Sequence[str]]) -> Scheme:
    """The tagging scheme of some sentences, by majority."""
    prefixes: set[str] = set()
    plain = prefixed = 0
    begins = opens = 0  # spans that begin with B-, and with I-, where none was open
    for sentence in tags:
        previous = OUTSIDE
        for tag in sentence:
            prefix, label = split_tag(tag)
            if tag != OUTSIDE and not (label and prefix in _SAME):
                plain += 1
            elif tag != OUTSIDE:
                prefixed += 1
                prefixes.add(_SAME[prefix])
                is_open = previous != OUTSIDE and split_tag(previous)[1] == label
                begins += prefix == "B" and previous == OUTSIDE
                opens += prefix == "I" and not is_open
            previous = tag
    if plain > prefixed:
        return "plain"
    if prefixes & {"L", "U"}:
        return "bilou"
    return "iob" if opens > begins else "iob2"


def split_tag(tag: str) -> tuple[str, str]:
    """``B-PER`` -> ("B", "PER"); a tag without a label has the label ``""``."""
    prefix, _, label = tag.partition("-")
    if not label:
        prefix, _, label = tag.partition("_")  # B_PER
    return prefix, label


def spans_of(tags: Sequence[str], scheme: Scheme) -> tuple[list[WordSpan], tuple[int, str] | None]:
    """The spans in the tags of a sentence.

    Returns:
        The spans in order, and the first illegal tag, if any: its place and what is wrong with it.
    """
    if scheme == "plain":
        return [(at, at + 1, tag) for at, tag in enumerate(tags)], None
    spans: list[WordSpan] = []
    start: int | None = None
    label = ""
    for at, tag in enumerate(tags):
        prefix, found = split_tag(tag)
        prefix = _SAME.get(prefix, "")
        if tag == OUTSIDE:
            prefix = OUTSIDE
        elif not prefix or not found or (scheme != "bilou" and prefix in "LU"):
            return spans, (at, f"the tag {tag!r} is not one of {scheme.upper()}")
        continues = prefix in ("I", "L") and start is not None and found == label
        if prefix in ("I", "L") and not continues:
            if scheme == "iob2":
                after = f"after {tags[at - 1]!r}" if at else "at the start"
                return spans, (at, f"the tag {tag!r} {after} is illegal in IOB2")
            if scheme == "bilou":
                return spans, (at, f"the tag {tag!r} does not continue a span")
        if start is not None and not continues:
            if scheme == "bilou":
                return spans, (at, f"the span before {tag!r} does not end with L- or E-")
            spans.append((start, at, label))
            start = None
        if prefix == "U":
            spans.append((at, at + 1, found))
        elif prefix == "L":
            spans.append((start if start is not None else at, at + 1, found))
            start = None
        elif prefix != OUTSIDE and not continues:
            start, label = at, found
    if start is not None:
        if scheme == "bilou":
            return spans, (len(tags) - 1, f"its last span, of {label}, does not end with L- or E-")
        spans.append((start, len(tags), label))
    return spans, None


def tags_of(spans: Iterable[WordSpan], words: int) -> list[str]:
    """The IOB2 tags of a sentence with these spans."""
    tags = [OUTSIDE] * words
    for start, end, label in spans:
        tags[start] = f"B-{label}"
        tags[start + 1 : end] = [f"I-{label}"] * (end - start - 1)
    return tags


def is_plain(labels: Iterable[str]) -> bool:
    """Whether these stored tags do not form spans: some tag is neither O nor B- nor I-."""
    return any(tag != OUTSIDE and tag[:2] not in ("B-", "I-") for tag in labels)
