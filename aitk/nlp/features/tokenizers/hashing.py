"""Words and n-grams hashed into buckets, as in fastText (Joulin et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from aitk.core.io.files import write_json
from aitk.nlp.features.word_table import END_NUMBER, END_OF_TEXT, RESERVED, words_of

PAD, END = 0, 1
#: Maximum characters read for each requested word.
CHARACTERS_PER_WORD = 100

#: The odd multiplier that joins the hashes of neighbours (Knuth's, 2**32 over the golden ratio).
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
        return [ids.tolist() for ids in self.encode_arrays(texts, max_length)]

    def encode_arrays(self, texts: Sequence[str], max_length: int) -> list[np.ndarray]:
        """The same as arrays, int32: all texts are cut, hashed and put together at once."""
        # N-grams share the budget of ids: of a long text fewer words are read, with all n-grams.
        most_words = max(1, (max_length - 1) // self.ngrams)
        limit = most_words * CHARACTERS_PER_WORD
        joined = "".join([text[:limit].replace(END_OF_TEXT, "\n") + END_OF_TEXT for text in texts])
        table = words_of(self.character_ngrams, self.buckets)
        with table.lock:
            numbers = table.numbers_of(joined.lower() if self.lowercase else joined)
            ends = np.flatnonzero(numbers == END_NUMBER)
            counts = np.diff(ends, prepend=-1) - 1
            if (counts > most_words).any():
                places = np.arange(len(numbers)) - np.repeat(ends - counts, counts + 1)
                numbers = numbers[(places < most_words) | (numbers == END_NUMBER)]
                counts = np.minimum(counts, most_words)
            numbers = numbers[numbers != END_NUMBER]
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
