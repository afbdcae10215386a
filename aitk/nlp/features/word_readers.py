"""The words of sentences as arrays: as words with their characters, or as subwords.

A sentence longer than the model's input is split into overlapping windows of words; each word
uses the window with most context around it (Devlin et al. 2018, the reference code for SQuAD).
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aitk.core.contract.task import Note
from aitk.core.io.files import write_json
from aitk.nlp.features.batching import pad_tokens
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer

PAD, UNKNOWN, RESERVED = 0, 1, 2
#: Marks of the beginning and the end of a word's characters.
BEGIN, END, RESERVED_CHARACTERS = 2, 3, 4
#: Maximum characters of a word, including these marks.
WORD_LENGTH = 24
#: Training replaces a word seen n times by the unknown word with probability a / (a + n)
#: (Kiperwasser and Goldberg 2016, section 4.1; with a = 1 half of the words seen once, as in
#: Lample et al. 2016, section 4.2), so that the model learns to use its characters.
WORD_DROPOUT = 1.0
MAX_CHARACTERS = 1000
#: Share of a window that overlaps the previous one.
OVERLAP = 0.25

Window = tuple[int, int]
Inputs = Mapping[str, np.ndarray]


class WordReader(Protocol):
    """Turns the words of rows into arrays."""

    @property
    def vocabulary_size(self) -> int: ...

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        """The arrays of each row, for all its words."""

    def windows(self, inputs: Inputs, max_length: int) -> list[Window]:
        """First word and the word after the last one of each window."""

    def cut(
        self, inputs: Inputs, window: Window, max_length: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """The arrays of one window."""

    def length(self, inputs: Inputs, max_length: int) -> int:
        """Positions of the longest window."""

    def pad(
        self, cut: Sequence[Mapping[str, np.ndarray]], pad_to: int | None
    ) -> dict[str, np.ndarray]:
        """The inputs of a model."""

    def save(self, folder: Path) -> None:
        """Write what ``load_tag_assets`` reads."""


@dataclass(frozen=True)
class WordVocabulary:
    """Words in lower case with digits as 0, and the unchanged characters of each.

    Attributes:
        words: by falling frequency; the id of the first is 2.
        counts: occurrences in the training rows.
        characters: by falling frequency; the id of the first is 4.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    characters: str

    @property
    def vocabulary_size(self) -> int:
        return len(self.words) + RESERVED

    @cached_property
    def _word_ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, RESERVED)}

    @cached_property
    def _character_ids(self) -> dict[str, int]:
        return {
            letter: number for number, letter in enumerate(self.characters, RESERVED_CHARACTERS)
        }

    @cached_property
    def _dropout(self) -> np.ndarray:
        """Replacement probability in training, by id."""
        counts = np.array([np.inf] * RESERVED + list(self.counts), float)
        return WORD_DROPOUT / (WORD_DROPOUT + counts)

    @property
    def character_count(self) -> int:
        """The number of character ids."""
        return len(self.characters) + RESERVED_CHARACTERS

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        return [self._encode(words_in(row)) for row in rows]

    def _encode(self, words: Sequence[str]) -> dict[str, np.ndarray]:
        token_ids = np.array(
            [self._word_ids.get(word_form(word), UNKNOWN) for word in words], np.int32
        )
        character_ids = np.zeros((len(words), WORD_LENGTH), np.int32)
        for row, word in zip(character_ids, words, strict=True):
            letters = _normal(word)
            ids = [self._character_ids.get(each, UNKNOWN) for each in letters]
            row[: len(ids) + 2] = [BEGIN, *ids, END]
        return {"token_ids": token_ids, "character_ids": character_ids}

    def windows(self, inputs: Inputs, max_length: int) -> list[Window]:
        return _windows(np.ones(len(inputs["token_ids"]), np.int64), max_length)

    def cut(
        self, inputs: Inputs, window: Window, max_length: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        start, end = window
        token_ids = inputs["token_ids"][start:end]
        if rng is not None:
            dropped = rng.random(len(token_ids)) < self._dropout[token_ids]
            token_ids = np.where(dropped, UNKNOWN, token_ids)
        return {"token_ids": token_ids, "character_ids": inputs["character_ids"][start:end]}

    def length(self, inputs: Inputs, max_length: int) -> int:
        return min(len(inputs["token_ids"]), max_length)

    def pad(
        self, cut: Sequence[Mapping[str, np.ndarray]], pad_to: int | None
    ) -> dict[str, np.ndarray]:
        inputs = pad_tokens([each["token_ids"] for each in cut], pad_to=pad_to)
        shape = (*inputs["token_ids"].shape, WORD_LENGTH)
        inputs["character_ids"] = np.zeros(shape, np.int32)
        for row, each in zip(inputs["character_ids"], cut, strict=True):
            row[: len(each["character_ids"])] = each["character_ids"][: len(row)]
        return inputs

    def save(self, folder: Path) -> None:
        values = {
            "words": list(self.words),
            "counts": list(self.counts),
            "characters": self.characters,
        }
        write_json(folder / "words.json", values)


def learn_words(rows: Iterable[Mapping[str, Any]], *, vocabulary_size: int) -> WordVocabulary:
    """The most frequent words and characters of the training rows."""
    words: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    for row in rows:
        found = words_in(row)
        words.update(map(word_form, found))
        letters.update(itertools.chain.from_iterable(_normal(word) for word in found))
    kept = sorted(words, key=lambda word: (-words[word], word))[: vocabulary_size - RESERVED]
    counts = tuple(words[word] for word in kept)
    characters = sorted(letters, key=lambda each: (-letters[each], each))[:MAX_CHARACTERS]
    return WordVocabulary(tuple(kept), counts, "".join(characters))


def embed_words(
    reader: WordVocabulary, source: str, vocabulary_size: int, *, note: Note
) -> tuple[WordVocabulary, np.ndarray]:
    """The vocabulary extended by words of a source of vectors, and the vector of each id,
    (ids, dimension) float32; see ``word_embeddings.extend_words``."""
    from aitk.nlp.features.word_embeddings import extend_words

    words, vectors = extend_words(
        source, reader.words, vocabulary_size=vocabulary_size - RESERVED, note=note, form=word_form
    )
    counts = (*reader.counts, *[0] * (len(words) - len(reader.counts)))
    reserved = np.zeros((RESERVED, vectors.shape[1]), np.float32)
    extended = WordVocabulary(tuple(words), counts, reader.characters)
    return extended, np.concatenate([reserved, vectors])


@dataclass(frozen=True)
class Subwords:
    """Subwords of a tokeniser; a word is represented by its first subword (Devlin et al. 2018,
    section 5.3)."""

    tokenizer: SubwordTokenizer

    @property
    def vocabulary_size(self) -> int:
        return self.tokenizer.vocabulary_size

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        return self.tokenizer.frame

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        encoded = self.tokenizer.encode_offsets([row["text"] for row in rows])
        return [
            {"token_ids": np.asarray(ids, np.int32), "firsts": _first_tokens(offsets[:, 1], row)}
            for row, (ids, offsets) in zip(rows, encoded, strict=True)
        ]

    def windows(self, inputs: Inputs, max_length: int) -> list[Window]:
        return _windows(self._sizes(inputs), self._room(max_length))

    def cut(
        self, inputs: Inputs, window: Window, max_length: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        del rng
        start, end = window
        firsts = inputs["firsts"]
        begin = int(firsts[start]) if start else 0
        stop = int(firsts[end]) if end < len(firsts) else len(inputs["token_ids"])
        before, after = self.frame
        room = self._room(max_length)
        ids = [*before, *inputs["token_ids"][begin : begin + min(room, stop - begin)], *after]
        places = firsts[start:end] - begin + len(before) + 1  # counted from 1
        # A word without its own token, or beyond the input, uses the first one.
        places = np.where((places > 0) & (places <= len(ids)), places, 1)
        return {"token_ids": np.asarray(ids or [0], np.int32), "word_positions": places}

    def length(self, inputs: Inputs, max_length: int) -> int:
        framed = len(inputs["token_ids"]) + sum(map(len, self.frame))
        return max(1, min(max_length, max(framed, len(inputs["firsts"]))))

    def pad(
        self, cut: Sequence[Mapping[str, np.ndarray]], pad_to: int | None
    ) -> dict[str, np.ndarray]:
        inputs = pad_tokens([each["token_ids"] for each in cut], pad_to=pad_to)
        words = pad_to or max(len(each["word_positions"]) for each in cut)
        inputs["word_positions"] = np.zeros((len(cut), words), np.int32)
        for row, each in zip(inputs["word_positions"], cut, strict=True):
            row[: len(each["word_positions"])] = each["word_positions"][:words]
        return inputs

    def save(self, folder: Path) -> None:
        (folder / "tokenizer").mkdir(exist_ok=True)
        self.tokenizer.save(folder / "tokenizer")

    def _room(self, max_length: int) -> int:
        return max(1, max_length - sum(map(len, self.frame)))

    def _sizes(self, inputs: Inputs) -> np.ndarray:
        """Tokens of each word; tokens before the first word count towards it."""
        firsts = inputs["firsts"].astype(np.int64)
        sizes = np.diff(np.append(firsts, len(inputs["token_ids"])))
        sizes[0] += firsts[0]
        return np.maximum(sizes, 1)


def words_in(fields: Mapping[str, Any]) -> list[str]:
    """The words of a row."""
    text = fields["text"]
    return [
        text[int(start) : int(end)]
        for start, end in zip(fields["starts"], fields["ends"], strict=True)
    ]


def word_form(word: str) -> str:
    """The form of a word in the vocabulary: NFC, lower case, digits as 0."""
    word = unicodedata.normalize("NFC", word).lower()
    if any(map(str.isdigit, word)):
        word = "".join("0" if letter.isdigit() else letter for letter in word)
    return word


def best_window(windows: Sequence[Window], words: int) -> np.ndarray:
    """For each word the index of the window with the most words on both sides of it."""
    places = np.arange(words)
    depth = np.full((len(windows), words), -1)
    for row, (start, end) in zip(depth, windows, strict=True):
        row[start:end] = np.minimum(places[start:end] - start, end - 1 - places[start:end])
    return depth.argmax(axis=0)


def _windows(sizes: np.ndarray, room: int) -> list[Window]:
    """Windows of words whose sizes add up to at most ``room``; at least one word each."""
    ends = np.cumsum(sizes)
    count = len(sizes)
    windows: list[Window] = []
    start = 0
    while True:
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + room, side="right")))
        windows.append((start, end))
        if end >= count:
            return windows
        kept = int((end - start) * OVERLAP)
        start = max(start + 1, end - kept)


def _first_tokens(ends: np.ndarray, fields: Mapping[str, Any]) -> np.ndarray:
    """The index of each word's first token: the first token which ends inside the word or after it,
    so that a token that spans several words belongs to all of them.

    Args:
        ends: (tokens,) end of each token in the text.
    """
    starts = np.asarray(fields["starts"], np.int64)
    return np.minimum(np.searchsorted(ends, starts, side="right"), max(0, len(ends) - 1)).astype(
        np.int32
    )


def _normal(word: str) -> str:
    return _shortened(unicodedata.normalize("NFC", word))


def _shortened(word: str) -> str:
    """The start and the end of a long word."""
    room = WORD_LENGTH - 2
    if len(word) <= room:
        return word
    half = room // 2
    return word[:half] + word[-half:]
