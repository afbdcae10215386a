"""Language identification for texts, and each language's stop words. Light and offline.

The lists are those of spaCy's language data, read one file at a time: importing spaCy itself
takes seconds.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import re
import struct
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, UsageError

#: Written without spaces between words, so that splitting at spaces does not find words.
UNSPACED = frozenset({"ja", "th", "zh"})

# Languages distinguished by their stop words, for scripts that several share.
_RIVALS = (
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "hu", "ro",
    "tr", "id", "vi", "ru", "uk", "bg",
)  # fmt: skip
_LANGUAGE_OF_SCRIPT = {
    "GREEK": "el", "HEBREW": "he", "HANGUL": "ko", "THAI": "th", "ARABIC": "ar",
    "DEVANAGARI": "hi", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te", "HIRAGANA": "ja",
    "KATAKANA": "ja", "CJK": "zh", "GEORGIAN": "ka", "ARMENIAN": "hy",
}  # fmt: skip
#: ASCII letters in lower case, the ends of texts, all else as a space.
_SPACE, _END = 32, 0
_ASCII_LETTERS = bytes(
    ord(chr(code).lower()) if code < 128 and chr(code).isalpha() else _SPACE for code in range(256)
)
_LETTERS_AND_ENDS = bytes((_END,)) + _ASCII_LETTERS[1:]
#: From this many texts on arrays are faster than one text after the other.
_MANY = 64
#: The votes of all languages, and the bits of one: see ``_stop_word_votes``.
_BALLOT, _LANE = struct.Struct(f"<{len(_RIVALS)}Q"), 64
_WORD = re.compile(r"[^\W\d_]+")
_CHARACTERS_LOOKED_AT = 400
# Below this ratio of votes, short English sentences are often identified as Dutch or Danish.
_CLEAR_LEAD = 1.5


@functools.cache
def stop_words(language: str) -> frozenset[str]:
    """The stop words of a language, in lower case.

    Args:
        language: its two-letter code, as in spaCy.

    Raises:
        UsageError: spaCy has no list for it.
    """
    folder = _spacy_languages()
    path = folder / language / "stop_words.py"
    if not language.isalpha() or not path.is_file():
        known = sorted(item.parent.name for item in folder.glob("*/stop_words.py"))
        raise UsageError(f"no stop words for {language!r}", hint=f"Available: {', '.join(known)}")
    spec = importlib.util.spec_from_file_location(f"_stop_words_{language}", path)
    if spec is None or spec.loader is None:
        raise UsageError("spaCy's stop words cannot be read", where=str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return frozenset(word.lower() for word in module.STOP_WORDS)


def script_of(text: str) -> str:
    """The script of most letters of a text, by its Unicode name: ``LATIN``, ``CJK``.

    A Japanese text with any kana counts as kana: no other language uses them.
    """
    if text.isascii():
        return "LATIN" if _WORD.search(text) else "none"
    counts = Counter(map(_script, filter(str.isalpha, text[:_CHARACTERS_LOOKED_AT])))
    kana = max(("HIRAGANA", "KATAKANA"), key=lambda name: counts[name])
    if counts["CJK"] and counts[kana]:
        return kana
    return max(counts, key=lambda name: counts[name], default="none")


def guess_language(text: str, script: str) -> str:
    """The likely language of a text by its script and stop words; ``und`` where unclear.

    Meant for statistics over many texts: a text of a few words often remains undecided.
    """
    if script not in ("LATIN", "CYRILLIC"):
        return _LANGUAGE_OF_SCRIPT.get(script, "und")
    beginning = text[:_CHARACTERS_LOOKED_AT]
    words: list[bytes] | list[str]
    if beginning.isascii():  # the same words, in a fifth of the time
        words = beginning.encode().translate(_ASCII_LETTERS).split()
    else:
        words = _WORD.findall(beginning.lower())
    total = sum(filter(None, map(_stop_word_votes().get, words)))
    if not total:
        return "und"
    votes = _BALLOT.unpack(total.to_bytes(_BALLOT.size, "little"))
    best, second = sorted(votes, reverse=True)[:2]
    return "und" if best <= _CLEAR_LEAD * second else _RIVALS[votes.index(best)]


def guess_languages(texts: Sequence[str], scripts: Sequence[str]) -> list[str]:
    """``guess_language`` of many texts, in a third of the time: NumPy finds the words of those in
    ASCII, and Arrow those that are stop words."""
    found = [""] * len(texts)
    plain: list[int] = []
    beginnings: list[str] = []
    for at, (text, script) in enumerate(zip(texts, scripts, strict=True)):
        beginning = text[:_CHARACTERS_LOOKED_AT]
        if script == "LATIN" and beginning.isascii() and "\0" not in beginning:
            plain.append(at)
            beginnings.append(beginning)
        else:
            found[at] = guess_language(text, script)
    if len(plain) < _MANY:
        for at in plain:
            found[at] = guess_language(texts[at], scripts[at])
        return found
    for at, language in zip(plain, _guess_ascii(beginnings), strict=True):
        found[at] = language
    return found


def language_of(text: str) -> str:
    """The likely language of a text; see ``guess_language``."""
    return guess_language(text, script_of(text))


def mix_languages(languages: Sequence[str], exponent: float) -> np.ndarray:
    """Rows of an epoch in which a language's share is as its share of the rows to an exponent
    (Conneau and Lample 2019, XLM, section 3.1).

    No row is left out: the most frequent language keeps its rows, and others are repeated.

    Args:
        languages: of each row.
        exponent: 1 leaves all as it is, 0 shows all languages alike.

    Returns:
        The places of the rows.
    """
    names, own, counts = np.unique(np.array(languages), return_inverse=True, return_counts=True)
    wanted = np.round(counts.max() * (counts / counts.max()) ** exponent).astype(int)
    places = [np.resize(np.flatnonzero(own == at), wanted[at]) for at in range(len(names))]
    return np.sort(np.concatenate(places))


@functools.cache
def _stop_word_votes() -> dict[str | bytes, int]:
    """Stop word, as text and as bytes -> its vote, shared equally by the languages it is one of.

    One number holds the votes for all languages, ``_LANE`` bits each, so that the votes of a text
    are added in one go. A whole vote is divisible by any number of languages.
    """
    whole = math.lcm(*range(1, len(_RIVALS) + 1))
    votes: dict[str | bytes, int] = {}
    for word, places in _languages_of_stop_words().items():
        vote = sum(whole // len(places) << (_LANE * place) for place in places)
        votes[word] = votes[word.encode()] = vote
    return votes


def _guess_ascii(texts: Sequence[str]) -> list[str]:
    """The likely language of each of these texts in ASCII, none of which has a NUL."""
    import pyarrow
    from pyarrow import compute

    joined = ("\0".join(texts) + "\0").encode().translate(_LETTERS_AND_ENDS)
    content = np.frombuffer(joined, np.uint8)
    is_letter = content > _SPACE
    follows = np.zeros(len(content), bool)
    follows[1:] = is_letter[:-1]
    starts = np.flatnonzero(is_letter & ~follows)
    letters = joined.translate(None, bytes((_SPACE, _END)))
    # The place of each word among the letters alone, and its end.
    bounds = np.append(np.cumsum(is_letter, dtype=np.int32)[starts] - 1, len(letters))
    words = pyarrow.Array.from_buffers(
        pyarrow.binary(),
        len(starts),
        [None, pyarrow.py_buffer(bounds.astype(np.int32)), pyarrow.py_buffer(letters)],
    )
    known, votes = _stop_word_table()
    numbers = compute.index_in(words, value_set=known).fill_null(-1).to_numpy()
    is_known = numbers >= 0
    # (texts + 1,) how many stop words come before each text.
    ends = np.searchsorted(starts[is_known], np.flatnonzero(content == _END))
    bounds = np.concatenate([[0], ends])
    sums = np.zeros((len(texts), len(_RIVALS)), votes.dtype)
    filled = np.flatnonzero(np.diff(bounds))
    if len(filled):
        sums[filled] = np.add.reduceat(votes[numbers[is_known]], bounds[filled], axis=0)
    ranked = np.partition(sums, -2, axis=1)
    clear = ranked[:, -1] > _CLEAR_LEAD * ranked[:, -2]
    best = np.where(clear, sums.argmax(axis=1), len(_RIVALS))
    names = (*_RIVALS, "und")
    return [names[at] for at in best.tolist()]


@functools.cache
def _stop_word_table() -> tuple[Any, np.ndarray]:
    """The stop words of ASCII letters as an Arrow array, and the votes of each, (words, languages).

    A whole vote is divisible by the numbers of languages that share a word, and by no others, so
    that the votes of a text are small numbers.
    """
    import pyarrow

    words = {
        word.encode(): places
        for word, places in _languages_of_stop_words().items()
        if word.isascii() and word.isalpha()
    }
    whole = math.lcm(*map(len, words.values()))
    number = np.min_scalar_type(whole * _CHARACTERS_LOOKED_AT)
    votes = np.zeros((len(words), len(_RIVALS)), number)
    for row, places in zip(votes, words.values(), strict=True):
        row[places] = whole // len(places)
    return pyarrow.array(words, pyarrow.binary()), votes


@functools.cache
def _languages_of_stop_words() -> dict[str, list[int]]:
    """Stop word -> the places in ``_RIVALS`` of the languages that it is one of."""
    index = defaultdict(list)
    for place, language in enumerate(_RIVALS):
        for word in stop_words(language):
            index[word].append(place)
    return dict(index)


@functools.lru_cache(1 << 16)
def _script(character: str) -> str:
    first, _, rest = unicodedata.name(character, "none").partition(" ")
    return rest.partition(" ")[0] if first in ("HALFWIDTH", "FULLWIDTH") else first


def _spacy_languages() -> Path:
    spec = importlib.util.find_spec("spacy")  # finds the package without importing it
    if spec is None or spec.origin is None:
        raise ArtifactError(
            "stop words need spaCy, which is not installed", hint="pip install spacy"
        )
    return Path(spec.origin).with_name("lang")
