"""Turning text into ids: vocabularies learned from the training texts, or taken as they are saved.

Everything but the hashed n-grams is a ``tokenizers`` model, kept in one file, ``tokenizer.json``.
TensorFlow is never needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aitk.core.errors import ArtifactError, DataError
from aitk.nlp.hashing import HashedNgrams

if TYPE_CHECKING:
    import tokenizers

FILE = "tokenizer.json"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Names of the special tokens in the vocabularies of BERT, RoBERTa, ALBERT, T5 and their kin.
PAD_NAMES = ("[PAD]", "<pad>")
UNKNOWN_NAMES = ("[UNK]", "<unk>")
MASK_NAMES = ("[MASK]", "<mask>")

#: Scripts written without spaces, taken by character with its marks; and pictographs, so that an
#: unknown one does not make the word beside it unknown.
ALONE = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{So}]"
    r"[\p{M}\x{FE0F}]*"
)
#: WordPiece calls a longer word unknown as a whole, so longer runs are cut.
LONGEST_WORD = 64
#: Text beyond this many characters for each wanted token is not looked at: one line of 50 MB
#: costs no more than a page.
CHARACTERS_PER_TOKEN = 100


class Tokenizer(Protocol):
    """Text to ids and back."""

    vocabulary_size: int
    pad_id: int
    unknown_id: int | None
    mask_id: int | None
    special_ids: frozenset[int]

    def encode_many(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """At most ``max_length`` ids of each text, special tokens included; at least one."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""

    def save(self, folder: Path) -> None:
        """Write what ``load_tokenizer`` reads."""


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
    def special_ids(self) -> frozenset[int]:
        added = self.engine.get_added_tokens_decoder().items()
        return frozenset(index for index, token in added if token.special)

    def encode_many(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        return [encoding.ids for encoding in self._encode(texts, max_length)]

    def encode_words(
        self, texts: Sequence[str], max_length: int
    ) -> list[tuple[list[int], list[int]]]:
        """Ids of each text, and the number of the word each belongs to (-1: a special token)."""
        return [
            (encoding.ids, [-1 if word is None else word for word in encoding.word_ids])
            for encoding in self._encode(texts, max_length)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        return self.engine.decode(list(ids)).strip()

    def token(self, index: int) -> str:
        """One unit as it is written in running text."""
        return self.decode([index]).removeprefix("##") or self.engine.id_to_token(index) or ""

    def save(self, folder: Path) -> None:
        self.engine.no_truncation()
        (folder / FILE).write_text(self.engine.to_str(), encoding="utf-8")

    def _encode(self, texts: Sequence[str], max_length: int) -> list[tokenizers.Encoding]:
        if (self.engine.truncation or {}).get("max_length") != max_length:
            self.engine.enable_truncation(max_length)
        limit = max_length * CHARACTERS_PER_TOKEN
        return self.engine.encode_batch([text[:limit] for text in texts])

    def _first(self, names: Sequence[str]) -> int | None:
        found = (self.engine.token_to_id(name) for name in names)
        return next((index for index in found if index is not None), None)


def train_tokenizer(texts: Iterable[str], settings: Any) -> Tokenizer:
    """Learn a vocabulary from the training texts.

    Args:
        texts: read once, in order; the same texts give the same vocabulary.
        settings: ``TextSettings`` of the model that will read the ids.

    Raises:
        DataError: the texts hold nothing to learn a vocabulary from.
    """
    if settings.tokenizer == "hashed":
        return HashedNgrams(
            buckets=settings.vocabulary_size,
            ngrams=settings.ngrams,
            character_ngrams=settings.character_ngrams,
            lowercase=settings.lowercase,
        )
    engine, trainer = _blank(settings.tokenizer, settings.vocabulary_size)
    engine.normalizer = _normalizer(settings)
    engine.train_from_iterator(texts, trainer)
    learned = engine.get_vocab_size(with_added_tokens=True) - len(SPECIAL_TOKENS)
    if not learned:
        raise DataError("the texts are empty: there is no vocabulary to learn")
    engine.post_processor = framed(engine, "[CLS]", "[SEP]")
    return SubwordTokenizer(engine)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read the tokeniser that ``save`` wrote, or any ``tokenizer.json`` of that library.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = folder / FILE
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"the tokeniser cannot be read ({error})", where=str(path)) from error
    try:
        described = json.loads(content)
        if "hashed_ngrams" in described:
            return HashedNgrams(**described["hashed_ngrams"])
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"the tokeniser is damaged ({error})", where=str(path)) from error
    return SubwordTokenizer(read_engine(content, where=path))


def read_engine(content: str, *, where: Path) -> tokenizers.Tokenizer:
    """The model in a ``tokenizer.json``, with the padding and truncation saved in it undone."""
    import tokenizers

    try:
        engine = tokenizers.Tokenizer.from_str(content)
    except Exception as error:  # noqa: BLE001 - the library raises Exception itself
        raise ArtifactError(f"the tokeniser is damaged ({error})", where=str(where)) from error
    engine.no_padding()
    engine.no_truncation()
    return engine


def framed(engine: tokenizers.Tokenizer, first: str, last: str) -> Any:
    """A post-processor that puts a token before and after each text; ``""`` puts none."""
    from tokenizers import processors

    tokens = [token for token in (first, last) if token]
    return processors.TemplateProcessing(
        single=" ".join(part for part in (first, "$A", last) if part),
        special_tokens=[(token, engine.token_to_id(token)) for token in tokens],
    )


def _normalizer(settings: Any) -> Any:
    from tokenizers import normalizers

    steps = [normalizers.NFKC()]
    if settings.lowercase:
        steps.append(normalizers.Lowercase())
    if settings.tokenizer == "bpe":
        # A word is the same at the start of a text and inside it: after a space.
        steps += [normalizers.Strip(), normalizers.Prepend(" ")]
    return normalizers.Sequence(steps)


def _blank(kind: str, vocabulary_size: int) -> tuple[Any, Any]:
    """An untrained model of this kind, and its trainer."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    shared = {"special_tokens": list(SPECIAL_TOKENS), "show_progress": False}
    alone = pre_tokenizers.Split(tokenizers.Regex(ALONE), "isolated")
    short = pre_tokenizers.Split(tokenizers.Regex(r"[^\s]{%d}" % LONGEST_WORD), "isolated")
    words = pre_tokenizers.Sequence([alone, pre_tokenizers.BertPreTokenizer(), short])
    if kind == "wordpiece":
        engine = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        engine.pre_tokenizer, engine.decoder = words, decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary_size, limit_alphabet=vocabulary_size // 2, **shared
        )
    elif kind == "bpe":
        # All 256 bytes are in the vocabulary, so that no text is lost.
        engine = tokenizers.Tokenizer(models.BPE())
        engine.pre_tokenizer = pre_tokenizers.Sequence(
            [alone, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        engine.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            **shared,
        )
    elif kind == "word":
        engine = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
        engine.pre_tokenizer = words
        trainer = trainers.WordLevelTrainer(vocab_size=vocabulary_size, **shared)
    else:
        engine = tokenizers.Tokenizer(models.WordLevel(unk_token="[UNK]"))
        engine.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
        engine.decoder = decoders.Fuse()
        trainer = trainers.WordLevelTrainer(vocab_size=vocabulary_size, **shared)
    return engine, trainer
