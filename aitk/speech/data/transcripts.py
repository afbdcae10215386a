"""Normalisation of transcripts, and lexicons of recognisable words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aitk.core.contract.errors import DataError
from aitk.core.privacy.redaction import Redactor, tag_of
from aitk.speech.data.options import TranscribedAudioReading

# An apostrophe between letters belongs to its word: don't, l'eau.
_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ](?=\w)")
_KEPT = "\ue000"  # placeholder for such apostrophes; occurs in no text


def clean_transcript(
    text: str, reading: TranscribedAudioReading, redactor: Redactor | None = None
) -> str:
    """Normalise a transcript by the options, with single spaces; it may become empty.

    Args:
        redactor: replaces personal data, before other steps obscure it; its tags stay as they are.
    """
    if redactor is None:
        return _normalised(text, reading)
    redacted = redactor.redact(text)
    words, at = [], 0
    for (start, end), kind in zip(redacted.spans, redacted.kinds, strict=True):
        words += [_normalised(text[at:start], reading), tag_of(kind)]
        at = end
    return " ".join(filter(None, [*words, _normalised(text[at:], reading)]))


def _normalised(text: str, reading: TranscribedAudioReading) -> str:
    if reading.unicode_form != "none":
        text = unicodedata.normalize(reading.unicode_form, text)  # type: ignore[arg-type]
    if reading.lowercase:
        text = text.lower()
    if reading.strip_punctuation:
        text = _APOSTROPHE.sub(_KEPT, text.replace(_KEPT, " "))
        text = "".join(
            " " if unicodedata.category(character)[0] in "PS" else character for character in text
        ).replace(_KEPT, "'")
    return " ".join(text.split())


@dataclass(frozen=True)
class Lexicon:
    """Words by spelling, which restrict a search.

    A spelling is a string: the characters of a word, or its phones, each followed by a blank.

    Attributes:
        words: spelling -> the words with this spelling, in order (homophones share one).
        beginnings: every prefix of a spelling, including itself.
    """

    words: Mapping[str, tuple[str, ...]]
    beginnings: frozenset[str] = field(repr=False)


def spelled_lexicon(words: Iterable[str]) -> Lexicon:
    """A lexicon of words spelled by their characters.

    Raises:
        DataError: there are no words, or one has a blank.
    """
    spellings: dict[str, tuple[str, ...]] = {}
    for word in words:
        if not word or len(word.split()) != 1:
            raise DataError(f"{word!r} is not one word")
        spellings[word] = (word,)
    return _lexicon(spellings, {word: len(word) * (1,) for word in spellings})


def spoken_lexicon(pronunciations: Mapping[str, Iterable[Sequence[str]]]) -> Lexicon:
    """A lexicon of words spelled by phones; a word may have several pronunciations.

    Raises:
        DataError: there are no words.
    """
    spellings: dict[str, tuple[str, ...]] = {}
    lengths: dict[str, tuple[int, ...]] = {}
    for word, ways in pronunciations.items():
        for phones in ways:
            spelling = "".join(f"{phone} " for phone in phones)
            spellings[spelling] = (*spellings.get(spelling, ()), word)
            lengths[spelling] = tuple(len(phone) + 1 for phone in phones)
    return _lexicon(spellings, lengths)


def _lexicon(spellings: dict[str, tuple[str, ...]], lengths: dict[str, tuple[int, ...]]) -> Lexicon:
    """``lengths``: the number of characters per unit of a spelling."""
    if not spellings:
        raise DataError("the lexicon has no words")
    beginnings = {""}
    for spelling, parts in lengths.items():
        end = 0
        for part in parts:
            end += part
            beginnings.add(spelling[:end])
    return Lexicon(spellings, frozenset(beginnings))
