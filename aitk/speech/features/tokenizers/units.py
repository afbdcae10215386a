"""Output units of a recogniser: characters, subwords, words or phones. Number 0 is the CTC blank.

A symbol that starts with ``▁`` starts a word; among characters, ``▁`` alone is the space between
words. Phones have no such mark: a pronunciation lexicon defines the word boundaries.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aitk.core.contract.errors import ArtifactError, DataError, UsageError

BLANK = 0
BLANK_SYMBOL = "<blank>"
WORD = "▁"  # U+2581, as in SentencePiece
KINDS = ("char", "subword", "word", "phone")


@dataclass(frozen=True)
class Units:
    """The output units of a recogniser.

    Attributes:
        kind: one of ``KINDS``.
        symbols: symbols by number; the first is the blank.
        merges: for subwords: pairs of symbols to merge, in the order learned.
        pronunciations: for phones: word -> its phones, using the first of several pronunciations.
    """

    kind: str
    symbols: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()
    pronunciations: dict[str, tuple[str, ...]] | None = None

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text.

        Raises:
            DataError: part of the text has no unit.
        """
        numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        found = []
        for symbol in self.split(text):
            if symbol not in numbers:
                shown = symbol.replace(WORD, "") or "the blank between words"
                raise DataError(f"{shown!r} is not among the {len(self) - 1} units of the model")
            found.append(numbers[symbol])
        return found

    def split(self, text: str) -> list[str]:
        """The symbols that spell a text, including unknown ones."""
        words = text.split()
        if self.kind == "char":
            return list(WORD.join(words))
        if self.kind == "word":
            return [WORD + word for word in words]
        if self.kind == "phone":
            return [phone for word in words for phone in self._pronounce(word)]
        return [piece for word in words for piece in _merged(WORD + word, self._ranks())]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of unit numbers, without blanks; for phones, the phones separated by spaces."""
        symbols = [self.symbols[number] for number in numbers if number != BLANK]
        if self.kind == "phone":
            return " ".join(symbols)
        return " ".join("".join(symbols).replace(WORD, " ").split())

    def as_json(self) -> dict[str, Any]:
        """JSON values; ``units_from`` reads them back."""
        return {
            "kind": self.kind,
            "symbols": list(self.symbols),
            "merges": [list(pair) for pair in self.merges],
            "pronunciations": {
                word: list(phones) for word, phones in (self.pronunciations or {}).items()
            },
        }

    def _ranks(self) -> dict[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    def _pronounce(self, word: str) -> Sequence[str]:
        if word not in (self.pronunciations or {}):
            raise DataError(f"the word {word!r} is not in the pronunciation lexicon")
        return self.pronunciations[word]  # type: ignore[index]


def units_from(value: dict[str, Any]) -> Units:
    """Restore the result of ``Units.as_json``.

    Raises:
        ArtifactError: the kind is unknown, the blank is not first, or a symbol is repeated.
    """
    symbols = value["symbols"]
    if value["kind"] not in KINDS or symbols[:1] != [BLANK_SYMBOL]:
        raise ArtifactError("its units have an unknown kind or no blank")
    if len(set(symbols)) < len(symbols) or any(len(pair) != 2 for pair in value["merges"]):
        raise ArtifactError("one of its units is repeated, or merges more than two")
    return Units(
        value["kind"],
        tuple(value["symbols"]),
        tuple((first, second) for first, second in value["merges"]),
        {word: tuple(phones) for word, phones in value["pronunciations"].items()} or None,
    )


def learn_units(
    texts: Iterable[str],
    *,
    kind: str,
    size: int = 500,
    pronunciations: dict[str, tuple[str, ...]] | None = None,
) -> Units:
    """Learn the units of texts.

    Args:
        kind: ``char``: all characters. ``subword``: the most frequent neighbouring pairs become
            units (Sennrich et al. 2016), until there are ``size`` units. ``word``: the ``size``
            most frequent words. ``phone``: those of the lexicon.
        size: maximum number of units, including the blank.
        pronunciations: the lexicon, for phones.

    Raises:
        DataError: the texts are empty.
        UsageError: phones without a lexicon, or an unknown kind.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind of units {kind!r}", hint=f"Known: {', '.join(KINDS)}")
    words = Counter(word for text in texts for word in text.split())
    if not words:
        raise DataError("there is no text to learn units from")
    if kind == "phone":
        if not pronunciations:
            raise UsageError("phones need a pronunciation lexicon", where="--lexicon")
        phones = {phone for each in pronunciations.values() for phone in each}
        return Units(kind, (BLANK_SYMBOL, *sorted(phones)), pronunciations=dict(pronunciations))
    if kind == "word":
        ordered = sorted(words, key=lambda word: (-words[word], word))[: size - 1]
        return Units(kind, (BLANK_SYMBOL, *sorted(WORD + word for word in ordered)))
    letters = sorted({letter for word in words for letter in word})
    if kind == "char":
        return Units(kind, (BLANK_SYMBOL, WORD, *letters))
    merges = _learn_merges(words, size - len(letters) - 2)
    joined = dict.fromkeys(first + second for first, second in merges)
    return Units(kind, (BLANK_SYMBOL, WORD, *letters, *joined), tuple(merges))


def read_pronunciations(lines: Iterable[str], *, where: str) -> dict[str, list[tuple[str, ...]]]:
    """Read a lexicon: one word and its phones per line; ``word(2)`` is another pronunciation.

    Raises:
        DataError: a line has no phones.
    """
    found: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or line.startswith((";;;", "#")):
            continue
        if len(fields) < 2:
            raise DataError(f"the word {fields[0]!r} has no phones", where=f"{where}:{number}")
        word, _, way = fields[0].partition("(")
        name = word if way[:-1].isdecimal() else fields[0]
        found.setdefault(name, []).append(tuple(fields[1:]))
    return found


def _learn_merges(words: Counter[str], limit: int) -> list[tuple[str, str]]:
    """Byte-pair encoding over characters; ties go to the first pair in order."""
    spelled = {word: tuple(WORD + word) for word in words}
    merges: list[tuple[str, str]] = []
    known: set[str] = set()
    while len(known) < limit:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in spelled.items():
            for pair in itertools.pairwise(symbols):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < 2:
            break  # a pair that occurs only once is not a unit
        merges.append(best)
        known.add("".join(best))
        spelled = {word: _join(symbols, best) for word, symbols in spelled.items()}
    return merges


def _merged(text: str, ranks: dict[tuple[str, str], int]) -> tuple[str, ...]:
    """Apply learned merges to one word, the earliest learned first."""
    symbols = tuple(text)
    while len(symbols) > 1:
        pairs = set(itertools.pairwise(symbols))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        symbols = _join(symbols, best)
    return symbols


def _join(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """Merge every occurrence of a pair of neighbours."""
    joined, at = [], 0
    while at < len(symbols):
        if symbols[at : at + 2] == pair:
            joined.append(symbols[at] + symbols[at + 1])
            at += 2
        else:
            joined.append(symbols[at])
            at += 1
    return tuple(joined)
