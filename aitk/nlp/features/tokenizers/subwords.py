"""Tokenisers: text to ids and back, with the special tokens around one text or a pair.

Everything but the hashed n-grams is a ``tokenizers`` model. Never imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from aitk.core.contract.errors import UsageError

if TYPE_CHECKING:
    import tokenizers

FILE = "tokenizer.json"
#: Names of the special tokens in the vocabularies of BERT, RoBERTa, ALBERT, T5, GPT-2, Llama
#: and similar models.
PAD_NAMES = ("[PAD]", "<pad>")
UNKNOWN_NAMES = ("[UNK]", "<unk>")
MASK_NAMES = ("[MASK]", "<mask>")
START_NAMES = ("[CLS]", "<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>")
END_NAMES = ("[SEP]", "</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>")
#: Maximum characters read for each requested token, so that a line of 50 MB costs no more than a
#: page.
CHARACTERS_PER_TOKEN = 100


class Tokenizer(Protocol):
    """Text to ids and back."""

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def pad_id(self) -> int: ...

    @property
    def unknown_id(self) -> int | None: ...

    @property
    def mask_id(self) -> int | None: ...

    @property
    def special_ids(self) -> frozenset[int]: ...

    def encode_many(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """At most ``max_length`` ids of each text, special tokens included; at least one."""

    def encode_pairs(
        self, texts: Sequence[str], pairs: Sequence[str], max_length: int
    ) -> list[list[int]]:
        """The ids of two texts encoded as a pair; the longer one is truncated first."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""

    def save(self, folder: Path) -> None:
        """Write what ``load_tokenizer`` reads."""


@dataclass(frozen=True)
class PairFrame:
    """The special tokens before, between and after two texts of a pair.

    Attributes:
        separator: the first of those between.
    """

    before: list[int]
    between: list[int]
    after: list[int]
    separator: int

    @property
    def size(self) -> int:
        """The number of special tokens."""
        return len(self.before) + len(self.between) + len(self.after)


@dataclass(frozen=True)
class SubwordTokenizer:
    """A tokeniser of the ``tokenizers`` library: WordPiece, BPE, Unigram, words or characters."""

    engine: tokenizers.Tokenizer

    @cached_property
    def vocabulary_size(self) -> int:
        return max(self.engine.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def pad_id(self) -> int:
        return self._first(PAD_NAMES) or 0

    @cached_property
    def unknown_id(self) -> int | None:
        return self._first(UNKNOWN_NAMES)

    @cached_property
    def mask_id(self) -> int | None:
        return self._first(MASK_NAMES)

    @cached_property
    def start_id(self) -> int | None:
        return self._first(START_NAMES)

    @cached_property
    def end_id(self) -> int | None:
        return self._first(END_NAMES)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        added = self.engine.get_added_tokens_decoder().items()
        return frozenset(index for index, token in added if token.special)

    def encode_many(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        return [encoding.ids for encoding in self._encode(texts, max_length)]

    def encode_pairs(
        self, texts: Sequence[str], pairs: Sequence[str], max_length: int
    ) -> list[list[int]]:
        """The ids of two texts framed by the tokeniser's template (see ``pair_frame``)."""
        frame, encoded = self.pair_frame, []
        room = max_length - frame.size
        firsts = self.encode_bare(texts, max_length)
        seconds = self.encode_bare(pairs, max_length)
        for first, second in zip(firsts, seconds, strict=True):
            kept = max(room - len(second), (room + 1) // 2)
            first = first[: max(0, kept)]
            second = second[: max(0, room - len(first))]
            encoded.append([*frame.before, *first, *frame.between, *second, *frame.after])
        return [ids[:max_length] for ids in encoded]

    def encode_bare(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """At most ``max_length`` ids of each text, without special tokens."""
        encoded = self._encode(texts, max_length, framed=False)
        return [encoding.ids for encoding in encoded]

    def encode_words(
        self, texts: Sequence[str], max_length: int
    ) -> list[tuple[list[int], list[int]]]:
        """Ids of each text, and the index of the word of each (-1: a special token)."""
        return [
            (encoding.ids, [-1 if word is None else word for word in encoding.word_ids])
            for encoding in self._encode(texts, max_length)
        ]

    def encode_offsets(self, texts: Sequence[str]) -> list[tuple[list[int], np.ndarray]]:
        """Ids of whole texts without special tokens, and the positions of the tokens in the text:
        (tokens, 2) start and end in characters."""
        self.engine.no_truncation()
        return [
            (encoding.ids, np.array(encoding.offsets, np.int64).reshape(-1, 2))
            for encoding in self.engine.encode_batch(list(texts), add_special_tokens=False)
        ]

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        self.engine.no_truncation()
        bare = self.engine.encode("a", add_special_tokens=False).ids
        framed = self.engine.encode("a").ids
        at = next((at for at, each in enumerate(framed) if bare and each == bare[0]), 0)
        return framed[:at], framed[at + len(bare) :]

    @cached_property
    def pair_frame(self) -> PairFrame:
        """The special tokens around two texts, from the tokeniser's template."""
        self.engine.no_truncation()
        bare = self.engine.encode("a", add_special_tokens=False).ids
        framed = self.engine.encode("a", "a").ids
        places = [at for at, each in enumerate(framed) if bare and each == bare[0]]
        before, after = self.frame
        between = after
        if len(places) > 1:
            between = framed[places[0] + len(bare) : places[-1]] or after
            before, after = framed[: places[0]], framed[places[-1] + len(bare) :] or after
        separator = next(iter(between or after), self.end_id)
        return PairFrame(before, between, after, self.pad_id if separator is None else separator)

    def decode(self, ids: Sequence[int]) -> str:
        return self.engine.decode(list(ids)).strip()

    def token(self, index: int) -> str:
        """One token in the form of running text."""
        return self.decode([index]).removeprefix("##") or self.engine.id_to_token(index) or ""

    def token_id(self, text: str) -> int:
        """The id of a word that is a single token.

        Raises:
            UsageError: the word is several tokens, or unknown.
        """
        ids = self.engine.encode(text, add_special_tokens=False).ids
        if len(ids) != 1 or ids[0] == self.unknown_id:
            raise UsageError(f"{text!r} is not one token of this vocabulary")
        return ids[0]

    def save(self, folder: Path) -> None:
        self.engine.no_truncation()
        (folder / FILE).write_text(self.engine.to_str(), encoding="utf-8")

    def _encode(
        self, texts: Sequence[str], max_length: int, *, framed: bool = True
    ) -> list[tokenizers.Encoding]:
        if (self.engine.truncation or {}).get("max_length") != max_length:
            self.engine.enable_truncation(max_length)
        limit = max_length * CHARACTERS_PER_TOKEN
        return self.engine.encode_batch([text[:limit] for text in texts], add_special_tokens=framed)

    def _first(self, names: Sequence[str]) -> int | None:
        found = (self.engine.token_to_id(name) for name in names)
        return next((index for index in found if index is not None), None)


def framed(engine: tokenizers.Tokenizer, first: str, last: str) -> Any:
    """A post-processor that adds a token before and after each text; ``""`` adds none.

    Two texts have the last one after each; RoBERTa's (``<s>``) twice between them.
    """
    from tokenizers import processors

    tokens = [token for token in (first, last) if token]
    between = [last, last] if (first, last) == ("<s>", "</s>") else [last]
    pair = [first, "$A", *between, "$B:1", f"{last}:1" if last else ""]
    return processors.TemplateProcessing(
        single=" ".join(part for part in (first, "$A", last) if part),
        pair=" ".join(part for part in pair if part),
        special_tokens=[(token, engine.token_to_id(token)) for token in tokens],
    )
