"""Words and n-grams hashed into buckets, as in fastText (Joulin et al. 2016)."""

from __future__ import annotations

import itertools
import re
import threading
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from aitk.core.io.files import write_json

PAD, END = 0, 1
RESERVED = 2
#: Maximum characters read for each requested word.
CHARACTERS_PER_WORD = 100

# Scripts written without spaces, and pictographs: each character is a word of its own.
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u3005\u3040-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U0001f300-\U0001faff\U00020000-\U0003134f"
)
_MARKS = r"\s!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u206f\u3000-\u3003\u3008-\u303f\uff01-\uff0f"
#: A word, a character of such a script, or a mark.
WORD_PATTERN = rf"[{_ALONE}]|[^{_MARKS}{_ALONE}]+|[^\s]"
#: What ends a text where several are searched at once: half the time of searching each.
_END, _END_NUMBER = "\0", 0
_WORD_OR_END = re.compile(rf"\0|[{_ALONE}]|[^\0{_MARKS}{_ALONE}]+|[^\s]")
#: The odd multiplier that joins the hashes of neighbours (Knuth's, 2**32 over the golden ratio).
_MIX = np.uint32(2654435761)
#: Words and character n-grams that are cached: about 100 MB at most.
_KEPT_WORDS, _KEPT_RUNS = 2**18, 2**23


@dataclass(frozen=True)
class HashedNgrams:
    """Needs no vocabulary: a word is identified by its hash, the same on every machine.

    Attributes:
        buckets: number of hash values.
        ngrams: longest word n-gram.
        character_ngrams: longest character n-gram (from 3) of a word, whose edges are marked by
            ``<`` and ``>``; 0 for none.
        lowercase: ignore the case of letters.
    """

    buckets: int
    ngrams: int = 2
    character_ngrams: int = 0
    lowercase: bool = True

    pad_id: ClassVar[int] = PAD
    unknown_id: ClassVar[None] = None
    mask_id: ClassVar[None] = None
    special_ids: ClassVar[frozenset[int]] = frozenset({PAD, END})

    @property
    def vocabulary_size(self) -> int:
        return self.buckets + RESERVED

    def encode_many(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """Ids of the words, of the n-grams, and one for the end of the text."""
        return [ids.tolist() for ids in self.encode_arrays(texts, max_length)]

    def encode_arrays(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """The same as arrays, int32: all texts are cut, hashed and put together at once."""
        # N-grams share the budget of ids: of a long text fewer words are read, with all n-grams.
        most_words = max(1, (max_length - 1) // self.ngrams)
        limit = most_words * CHARACTERS_PER_WORD
        joined = "".join([text[:limit].replace(_END, "\n") + _END for text in texts])
        found = _WORD_OR_END.findall(joined.lower() if self.lowercase else joined)
        table = _words_of(self.character_ngrams, self.buckets)
        with table.lock:
            numbers = table.numbers_of(found)
            ends = np.flatnonzero(numbers == _END_NUMBER)
            counts = np.diff(ends, prepend=-1) - 1
            if (counts > most_words).any():
                places = np.arange(len(numbers)) - np.repeat(ends - counts, counts + 1)
                numbers = numbers[(places < most_words) | (numbers == _END_NUMBER)]
                counts = np.minimum(counts, most_words)
            numbers = numbers[numbers != _END_NUMBER]
            hashes, letters, inside = table.look_up(numbers)
        starts = (np.cumsum(counts) - counts).astype(np.int32)  # where the words of a text begin
        places = np.arange(len(numbers), dtype=np.int32) - np.repeat(starts, counts)
        runs = np.stack([np.maximum(0, counts - at) for at in range(self.ngrams)])
        of_words = runs.sum(axis=0)
        before = inside[starts + counts], inside[starts]  # letters up to the end and beginning
        of_letters = before[0] - before[1]
        # Of all words or of none: those of a long text's first words would drown the rest.
        of_letters = np.where(of_words + of_letters < max_length, of_letters, 0)
        sizes = of_words + of_letters + 1
        ends = np.cumsum(sizes)
        begins = ends - sizes
        ids = np.empty(int(sizes.sum()), np.int32)
        target = begins.astype(np.int32)
        for length, run in enumerate(self._hash_runs(hashes)):
            whole = places < np.repeat(runs[length], counts)
            ids[(np.repeat(target, counts) + places)[whole]] = run[whole]
            target = target + runs[length].astype(np.int32)
        for at in np.flatnonzero(of_letters):
            to, since, count = target[at], before[1][at], of_letters[at]
            ids[to : to + count] = letters[since : since + count]
        ids[ends - 1] = END
        arrays = [ids[start:end] for start, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        for at in np.flatnonzero(sizes > max_length):
            arrays[at] = np.append(arrays[at][: max_length - 1], np.int32(END))
        return arrays

    def encode_pairs(
        self, texts: Sequence[str], pairs: Sequence[str], max_length: int
    ) -> list[list[int]]:
        """Both texts as one: a bag of words has no order."""
        joined = [f"{text}\n{pair}" for text, pair in zip(texts, pairs, strict=True)]
        return self.encode_many(joined, max_length)

    def decode(self, ids: Sequence[int]) -> str:
        """Raises: hashes cannot be decoded."""
        return " ".join(f"#{index}" for index in ids if index not in self.special_ids)

    def save(self, folder: Path) -> None:
        write_json(folder / "tokenizer.json", {"hashed_ngrams": asdict(self)})

    def _hash_runs(self, hashes: np.ndarray) -> list[np.ndarray]:
        """For each n: the bucket of the n-gram that starts at each word."""
        runs = [hashes]
        for length in range(1, self.ngrams):
            following = np.zeros_like(hashes)
            following[: max(0, len(hashes) - length)] = hashes[length:]
            runs.append(runs[-1] * _MIX + following)
        return [run % np.uint32(self.buckets) + RESERVED for run in runs]


class _WordTable:
    """Words met so far: the hash of each, and the buckets of its character n-grams.

    Most words of a text were met before. ``lock`` is held while words are looked up: batches are
    made in threads.
    """

    def __init__(self, longest: int, buckets: int):
        self._longest, self._buckets = longest, buckets
        self.lock = threading.Lock()
        self._numbers = _Numbers({})
        self._hashes = np.empty(0, np.uint32)
        self._clear()

    def numbers_of(self, words: Sequence[str]) -> np.ndarray:
        """The number of each word, (words,), in this table."""
        if len(self._numbers) > _KEPT_WORDS or len(self._runs.indices) > _KEPT_RUNS:
            self._clear()
        numbers = np.fromiter(map(self._numbers.__getitem__, words), np.int32, len(words))
        if self._numbers.new:
            self._add(self._numbers.new)
            self._numbers.new = []
        return numbers

    def look_up(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is known of words by number: their hashes, (words,) uint32; the buckets of the
        character n-grams of each, one after the other, int32; where those of each word begin,
        (words + 1,)."""
        runs = self._runs[numbers]  # rows of a sparse matrix, copied by SciPy in one go
        return self._hashes[numbers], runs.indices, runs.indptr

    def _add(self, words: Sequence[str]) -> None:
        hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint32, len(words))
        inside = [_inside(word, self._longest, self._buckets) for word in words]
        counts = np.fromiter(map(len, inside), np.int32, len(words))
        flat = np.fromiter(itertools.chain.from_iterable(inside), np.int32, int(counts.sum()))
        old = self._runs
        self._set_runs(
            np.append(old.indices, flat), np.append(old.indptr, old.indptr[-1] + np.cumsum(counts))
        )
        self._hashes = np.append(self._hashes, hashes)

    def _set_runs(self, buckets: np.ndarray, begins: np.ndarray) -> None:
        """(words, buckets), of which the columns alone matter: in each row those of its word."""
        from scipy.sparse import csr_array

        self._runs = csr_array(
            (np.ones(len(buckets), bool), buckets, begins.astype(np.int32)),
            shape=(len(begins) - 1, self._buckets + RESERVED),
        )

    def _clear(self) -> None:
        self._numbers = _Numbers({_END: _END_NUMBER})
        self._hashes = np.zeros(1, np.uint32)
        self._set_runs(np.empty(0, np.int32), np.zeros(2, np.int32))


class _Numbers(dict[str, int]):
    """Numbers words in the order in which they are first asked for; ``new`` are the latest."""

    def __init__(self, known: dict[str, int]):
        super().__init__(known)
        self.new: list[str] = []

    def __missing__(self, word: str) -> int:
        self.new.append(word)
        number = self[word] = len(self)
        return number


@lru_cache(maxsize=8)
def _words_of(longest: int, buckets: int) -> _WordTable:
    return _WordTable(longest, buckets)


def _inside(word: str, longest: int, buckets: int) -> list[int]:
    """The buckets of the n-grams of 3 to ``longest`` letters inside a word, with marked edges."""
    marked = f"<{word}>"
    return [
        zlib.crc32(marked[at : at + length].encode()) % buckets + RESERVED
        for length in range(3, longest + 1)
        for at in range(len(marked) - length + 1)
    ]
