"""Words with their counts, and the letter n-grams of words outside the vocabulary.

A text becomes the ids of its known words; unknown words become the ids of their letter n-grams
if the vocabulary has any (Bojanowski et al. 2017, section 3.2), otherwise nothing. Each id has a
weight, so that a text's vector is a weighted sum of rows of one table.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError
from aitk.core.io.files import write_json
from aitk.core.io.json_files import Count, Size, read_json
from aitk.nlp.features.word_table import WORD_PATTERN

FILE, SETTINGS_FILE = "words.tsv", "words.json"
#: Longer words are truncated, so that a text without spaces adds no entry of a megabyte.
MAX_WORD_CHARACTERS = 100
MAX_WORDS = 5_000_000
CHARACTERS_PER_WORD = 100
_WORD = re.compile(WORD_PATTERN)
_SHAPE = {
    "lowercase": bool,
    "buckets": Count,
    "min_ngram": Size,
    "max_ngram": Size,
    "total": Size,
}


@dataclass(frozen=True)
class WordUnits:
    """A vocabulary of words, most frequent first.

    Attributes:
        words: unique words.
        counts: occurrences in the training texts; 0 if unknown.
        total: words of the training texts, including rare ones.
        lowercase: ignore the case of letters.
        buckets: hash values of letter n-grams; their ids follow those of the words. 0 for none.
            min_ngram, max_ngram: letters of an n-gram, including the marks ``<`` and ``>`` at the
            edges of a word.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    total: int
    lowercase: bool = True
    buckets: int = 0
    min_ngram: int = 3
    max_ngram: int = 6

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Word -> id."""
        return {word: number for number, word in enumerate(self.words)}

    @property
    def size(self) -> int:
        """Rows of the table: words, then n-grams."""
        return len(self.words) + self.buckets

    def split(self, text: str, max_words: int | None = None) -> list[str]:
        """The words of a text in the spelling of this vocabulary."""
        if max_words is not None:
            text = text[: max_words * CHARACTERS_PER_WORD]
        words = _WORD.findall(text.lower() if self.lowercase else text)
        return [word[:MAX_WORD_CHARACTERS] for word in words[:max_words]]

    def ngram_ids(self, word: str) -> list[int]:
        """Ids of the letter n-grams of a word; none without buckets."""
        if not self.buckets:
            return []
        first = len(self.words)
        hashes = _ngrams(word, self.min_ngram, self.max_ngram)
        return [first + value % self.buckets for value in hashes]

    def encode(self, text: str, max_words: int, *, sif: float) -> tuple[np.ndarray, np.ndarray]:
        """Ids (n,) int32 of a text's units and their weights (n,) float32, which sum to 1.

        A word has the weight a / (a + p), where p is its share of the training words and a is
        ``sif`` (Arora et al. 2017, section 3); all weights are equal if ``sif`` is 0. A text
        without any unit has one id with the weight 0.
        """
        ids: list[int] = []
        weights: list[float] = []
        for word in self.split(text, max_words):
            number = self.ids.get(word)
            if number is not None:
                ids.append(number)
                weights.append(self.weight(number, sif))
            elif ngrams := self.ngram_ids(word):
                ids += ngrams
                weights += [1 / len(ngrams)] * len(ngrams)
        if not ids:
            return np.zeros(1, np.int32), np.zeros(1, np.float32)
        shares = np.array(weights, np.float64)
        return np.array(ids, np.int32), (shares / shares.sum()).astype(np.float32)

    def weight(self, number: int, sif: float) -> float:
        """The weight of a known word in the vector of a text."""
        return sif / (sif + self.counts[number] / self.total) if sif else 1.0

    def save(self, folder: Path) -> None:
        """Write what ``load_word_units`` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = (f"{word}\t{count}\n" for word, count in zip(self.words, self.counts, strict=True))
        (folder / FILE).write_text("".join(lines), encoding="utf-8")
        values = {name: getattr(self, name) for name in _SHAPE}
        write_json(folder / SETTINGS_FILE, values)


def load_word_units(folder: Path) -> WordUnits:
    """Read what ``WordUnits.save`` wrote.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    values = read_json(folder / SETTINGS_FILE, _SHAPE)
    if not values["min_ngram"] <= values["max_ngram"] <= MAX_WORD_CHARACTERS:
        raise ArtifactError("has n-grams of length 0", where=str(folder / SETTINGS_FILE))
    path = folder / FILE
    words, counts = [], []
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                word, tab, count = line.rstrip("\n").partition("\t")
                if not (word and tab and count.isascii() and count.isdigit()):
                    raise ArtifactError("is damaged", where=f"{path}:{number}")
                if number > MAX_WORDS:
                    raise ArtifactError(f"has more than {MAX_WORDS:,} words", where=str(path))
                words.append(word)
                counts.append(int(count))
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot be read ({error})", where=str(path)) from error
    if len(set(words)) < len(words) or not words:
        raise ArtifactError("its words are missing or not unique", where=str(path))
    return WordUnits(tuple(words), tuple(counts), **values)


def count_words(texts: Iterable[str], *, lowercase: bool) -> Counter[str]:
    """The number of occurrences of each word."""
    counts: Counter[str] = Counter()
    for text in texts:
        words = _WORD.findall(text.lower() if lowercase else text)
        counts.update(word[:MAX_WORD_CHARACTERS] for word in words)
    return counts


def learn_word_units(texts: Iterable[str], settings: Any) -> WordUnits:
    """The words that occur ``settings.min_count`` times, at most ``vocabulary_size`` of them.

    Raises:
        DataError: there are fewer than two such words.
    """
    counts = count_words(texts, lowercase=settings.lowercase)
    total = counts.total()
    # Ties are sorted alphabetically: the same texts in another order give the same vocabulary.
    kept = sorted(
        (item for item in counts.items() if item[1] >= settings.min_count),
        key=lambda item: (-item[1], item[0]),
    )[: settings.vocabulary_size]
    if len(kept) < 2:
        raise DataError(
            f"fewer than two words occur {settings.min_count} times",
            hint="Use more text, or --set min_count=1",
        )
    return WordUnits(
        words=tuple(word for word, _ in kept),
        counts=tuple(count for _, count in kept),
        total=total,
        lowercase=settings.lowercase,
        buckets=getattr(settings, "buckets", 0),
        min_ngram=getattr(settings, "min_ngram", 3),
        max_ngram=getattr(settings, "max_ngram", 6),
    )


def ngram_table(units: WordUnits) -> tuple[np.ndarray, np.ndarray]:
    """The units averaged for each word's vector: its own id and those of its n-grams.

    Returns:
        ``starts`` (words + 1,) int64 and ``ids`` int32: word w has ``ids[starts[w]:starts[w+1]]``.
    """
    each: Sequence[list[int]] = [
        [number, *units.ngram_ids(word)] for number, word in enumerate(units.words)
    ]
    starts = np.zeros(len(each) + 1, np.int64)
    np.cumsum([len(ids) for ids in each], out=starts[1:])
    return starts, np.fromiter((number for ids in each for number in ids), np.int32, starts[-1])


@lru_cache(maxsize=2**16)
def _ngrams(word: str, shortest: int, longest: int) -> tuple[int, ...]:
    """The hashes of the n-grams of a word with marked edges."""
    marked = f"<{word}>"
    return tuple(
        zlib.crc32(marked[at : at + length].encode())
        for length in range(shortest, min(longest, len(marked)) + 1)
        for at in range(len(marked) - length + 1)
        if length < len(marked)
    )
