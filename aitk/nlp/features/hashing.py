"""Words and n-grams hashed into buckets, as in fastText (Joulin et al. 2016)."""

from __future__ import annotations

import itertools
import re
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
_WORD = re.compile(WORD_PATTERN)
#: The odd multiplier that combines the hashes of neighbours (Knuth's, 2**32 over the golden ratio).
_MIX = np.uint32(2654435761)


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
        # N-grams share the budget of ids: of a long text fewer words are read, with all n-grams.
        most_words = max(1, (max_length - 1) // self.ngrams)
        limit = most_words * CHARACTERS_PER_WORD
        if self.lowercase:
            texts = [text[:limit].lower() for text in texts]
        words = [_WORD.findall(text[:limit])[:most_words] for text in texts]
        runs = self._hash_runs([word for each in words for word in each])
        encoded, start = [], 0
        for each in words:
            ids: list[int] = []
            for length, hashes in enumerate(runs, start=1):
                ids += hashes[start : start + max(0, len(each) - length + 1)].tolist()
            start += len(each)
            if self.character_ngrams:
                letters = [_inside(word, self.character_ngrams, self.buckets) for word in each]
                # All words or none: those of a long text's first words would dominate.
                if len(ids) + sum(map(len, letters)) < max_length:
                    ids += itertools.chain.from_iterable(letters)
            encoded.append([*ids[: max_length - 1], END])
        return encoded

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

    def _hash_runs(self, words: list[str]) -> list[np.ndarray]:
        """For each n: the bucket of the n-gram that starts at each word."""
        hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint32, len(words))
        runs = [hashes]
        for length in range(1, self.ngrams):
            following = np.zeros_like(hashes)
            following[: max(0, len(hashes) - length)] = hashes[length:]
            runs.append(runs[-1] * _MIX + following)
        return [run % np.uint32(self.buckets) + RESERVED for run in runs]


@lru_cache(maxsize=2**16)
def _inside(word: str, longest: int, buckets: int) -> tuple[int, ...]:
    """The buckets of the n-grams of 3 to ``longest`` letters inside a word, with marked edges."""
    marked = f"<{word}>"
    return tuple(
        zlib.crc32(marked[at : at + length].encode()) % buckets + RESERVED
        for length in range(3, longest + 1)
        for at in range(len(marked) - length + 1)
    )
