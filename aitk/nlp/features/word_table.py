"""The words of texts: what is one, and a table of all that were met, for hashing."""

from __future__ import annotations

import itertools
import re
import sys
import threading
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

#: Ids below are those of padding and of the end of a text.
RESERVED = 2

# Scripts written without spaces, and pictographs: each character is a word of its own.
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u3005\u3040-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U0001f300-\U0001faff\U00020000-\U0003134f"
)
_MARKS = r"\s!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u206f\u3000-\u3003\u3008-\u303f\uff01-\uff0f"
#: A word, a character of such a script, or a mark.
WORD_PATTERN = rf"[{_ALONE}]|[^{_MARKS}{_ALONE}]+|[^\s]"
#: What ends a text where several are searched at once: half the time of searching each.
END_OF_TEXT, END_NUMBER = "\0", 0
WORD_OR_END = re.compile(rf"\0|[{_ALONE}]|[^\0{_MARKS}{_ALONE}]+|[^\s]")
#: Texts from this many characters on are split by arrays.
_LONG_TEXT = 2**15
#: What a character is: a letter goes on with the word before it, a mark is a word of its own.
_SPACE, _MARK, _LETTER = range(3)
#: Words and character n-grams that are cached: about 100 MB at most.
_KEPT_WORDS, _KEPT_RUNS = 2**18, 2**23


class WordTable:
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

    def numbers_of(self, text: str) -> np.ndarray:
        """The number of each word of a text, (words,) int32, in this table."""
        if len(self._numbers) > _KEPT_WORDS or len(self._runs.indices) > _KEPT_RUNS:
            self._clear()
        if len(text) < _LONG_TEXT:
            return self._known(WORD_OR_END.findall(text))
        words, numbers = distinct_words(text)
        return self._known(words)[numbers]

    def _known(self, words: Sequence[str]) -> np.ndarray:
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
        self._numbers = _Numbers({END_OF_TEXT: END_NUMBER})
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
def words_of(longest: int, buckets: int) -> WordTable:
    """The table of these settings, which all tokenisers with them share."""
    return WordTable(longest, buckets)


def _inside(word: str, longest: int, buckets: int) -> list[int]:
    """The buckets of the n-grams of 3 to ``longest`` letters inside a word, with marked edges."""
    marked = f"<{word}>"
    return [
        zlib.crc32(marked[at : at + length].encode()) % buckets + RESERVED
        for length in range(3, longest + 1)
        for at in range(len(marked) - length + 1)
    ]


def distinct_words(text: str) -> tuple[list[str], np.ndarray]:
    """The distinct words and spaces of a text, and the number of each word among them, (words,).

    As ``WORD_OR_END.findall``, in less than half of its time for long texts: NumPy finds where
    words begin and Arrow those that are alike, so that only distinct words become strings.
    """
    import pyarrow

    if text.isascii():
        encoding, content = "ascii", text.encode("ascii")
        kinds = _kinds(128)[np.frombuffer(content, np.uint8)]
    else:
        encoding, content = "utf-32-le", text.encode("utf-32-le", "surrogatepass")
        kinds = _kinds(sys.maxunicode + 1)[np.frombuffer(content, "<u4")]
    letters = kinds == _LETTER
    begins = np.ones(len(kinds), bool)
    np.logical_not(letters[1:] & letters[:-1], out=begins[1:])
    places = np.flatnonzero(begins)
    bounds = np.append(places, len(kinds)) * (len(content) // len(kinds))
    found = pyarrow.LargeBinaryArray.from_buffers(
        pyarrow.large_binary(),
        len(places),
        [None, pyarrow.py_buffer(bounds), pyarrow.py_buffer(content)],
    ).dictionary_encode()
    words = [word.decode(encoding, "surrogatepass") for word in found.dictionary.to_pylist()]
    return words, found.indices.to_numpy()[kinds[places] != _SPACE]


@lru_cache(maxsize=2)
def _kinds(characters: int) -> np.ndarray:
    """The kind of each of the first characters of Unicode, (characters,) uint8."""
    kinds = np.full(characters, _MARK, np.uint8)
    every = "".join(map(chr, range(characters)))
    for kind, pattern in ((_SPACE, r"\s+"), (_LETTER, rf"[^\0{_MARKS}{_ALONE}]+")):
        for run in re.finditer(pattern, every):
            kinds[run.start() : run.end()] = kind
    return kinds
