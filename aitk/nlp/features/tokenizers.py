"""Tokenisers: vocabularies learned from the training texts or loaded from saved files.

Everything but the hashed n-grams is a ``tokenizers`` model, stored in one file, ``tokenizer.json``.
Never imports TensorFlow.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from aitk.core.contract.errors import ArtifactError, DataError, UsageError
from aitk.core.io.json_files import Count, Size, check_shape, parse_line, read_text
from aitk.nlp.features.hashing import HashedNgrams

if TYPE_CHECKING:
    import tokenizers

FILE = "tokenizer.json"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Names of the special tokens in the vocabularies of BERT, RoBERTa, ALBERT, T5, GPT-2, Llama
#: and similar models.
PAD_NAMES = ("[PAD]", "<pad>")
UNKNOWN_NAMES = ("[UNK]", "<unk>")
MASK_NAMES = ("[MASK]", "<mask>")
START_NAMES = ("[CLS]", "<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>")
END_NAMES = ("[SEP]", "</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>")

#: Scripts written without spaces, split by character with its marks; and pictographs, so that an
#: unknown one does not make the adjacent word unknown.
ALONE = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{So}]"
    r"[\p{M}\x{FE0F}]*"
)
#: WordPiece treats longer words as unknown, so longer runs are split.
LONGEST_WORD = 64
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


LONGEST_NGRAM = 100
#: Structure of the file of a hashing tokeniser.
HASHED = {
    "hashed_ngrams": {
        "buckets": Size,
        "ngrams?": Size,
        "character_ngrams?": Count,
        "lowercase?": bool,
    }
}


def train_tokenizer(texts: Iterable[str], settings: Any) -> Tokenizer:
    """Learn a vocabulary from the training texts.

    Args:
        texts: the same texts give the same vocabulary.
        settings: ``TextSettings`` of the model that reads the ids.

    Raises:
        DataError: the texts contain nothing to learn a vocabulary from.
    """
    if settings.tokenizer == "hashed":
        return HashedNgrams(
            buckets=settings.vocabulary_size,
            ngrams=settings.ngrams,
            character_ngrams=settings.character_ngrams,
            lowercase=settings.lowercase,
        )
    return train_subwords(texts, settings)


def train_subwords(texts: Iterable[str], settings: Any) -> SubwordTokenizer:
    """Like ``train_tokenizer``, for models of subwords, words or characters only."""
    learn = {
        "wordpiece": _learn_wordpiece,
        "bpe": _learn_bpe,
        "word": _learn_words,
        "char": _learn_characters,
    }[settings.tokenizer]
    engine = learn(texts, _normalizer(settings), settings.vocabulary_size)
    if engine.get_vocab_size(with_added_tokens=True) == len(SPECIAL_TOKENS):
        raise DataError("the texts are empty: there is no vocabulary to learn")
    engine.add_special_tokens(list(SPECIAL_TOKENS))
    engine.post_processor = framed(engine, "[CLS]", "[SEP]")
    return SubwordTokenizer(engine)


def word_tokenizer(words: Sequence[str], settings: Any) -> SubwordTokenizer:
    """A tokeniser of these words; their ids follow those of ``SPECIAL_TOKENS``, in order.

    Args:
        settings: ``TextSettings``; only ``lowercase`` matters.
    """
    from tokenizers import Tokenizer, models

    ids = {token: number for number, token in enumerate((*SPECIAL_TOKENS, *words))}
    engine = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    engine.normalizer, engine.pre_tokenizer = _normalizer(settings), _words()
    engine.add_special_tokens(list(SPECIAL_TOKENS))
    engine.post_processor = framed(engine, "[CLS]", "[SEP]")
    return SubwordTokenizer(engine)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read a tokeniser written by ``save``, or any ``tokenizer.json`` of that library.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = folder / FILE
    try:
        content = read_text(path)
    except ArtifactError as error:
        raise ArtifactError(f"the tokeniser {error.what}", where=error.where) from error
    described = parse_line(content, where=str(path))
    if isinstance(described, dict) and "hashed_ngrams" in described:
        check_shape(described, HASHED, where=str(path))
        hashed = HashedNgrams(**described["hashed_ngrams"])
        if hashed.buckets >= 2**31 or max(hashed.ngrams, hashed.character_ngrams) > LONGEST_NGRAM:
            raise ArtifactError("the tokeniser is damaged (n-grams too long)", where=str(path))
        return hashed
    return SubwordTokenizer(read_engine(content, where=path))


def read_engine(content: str, *, where: Path) -> tokenizers.Tokenizer:
    """The model in a ``tokenizer.json``, without its saved padding and truncation."""
    import tokenizers

    with damage_at(where):
        engine = tokenizers.Tokenizer.from_str(content)
    engine.no_padding()
    engine.no_truncation()
    return engine


@contextlib.contextmanager
def damage_at(path: Path) -> Iterator[None]:
    """Convert errors of ``tokenizers`` about an inconsistent vocabulary to an ``ArtifactError``."""
    try:
        yield
    except Exception as error:  # the library has no more specific exception
        raise ArtifactError(f"the tokeniser is damaged ({error})", where=str(path)) from error


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


def _normalizer(settings: Any) -> Any:
    from tokenizers import normalizers

    steps: list[Any] = [normalizers.NFKC()]
    if settings.lowercase:
        steps.append(normalizers.Lowercase())
    if settings.tokenizer == "bpe":
        # A word is the same at the start of a text as inside it, after a space.
        steps += [normalizers.Strip(), normalizers.Prepend(" ")]
    return normalizers.Sequence(steps)


def _learn_wordpiece(
    texts: Iterable[str], normalizer: Any, vocabulary_size: int
) -> tokenizers.Tokenizer:
    """WordPiece (Wu et al. 2016), made deterministic: equal texts give equal vocabularies.

    The library numbers ``##a``, ``##b``, ... in the order of an unordered table, and breaks ties by
    these numbers. Declaring them first fixes their numbers; it requires a first pass over all
    words.
    """
    from tokenizers import Tokenizer, decoders, models, trainers

    texts = list(texts)
    words = _words()
    seen: Counter[str] = Counter()
    inside: set[str] = set()
    for text in texts:
        for word, _ in words.pre_tokenize_str(normalizer.normalize_str(text)):
            seen.update(word)
            if len(word) > 1:
                inside.update(word)
    # Letters may fill half of the vocabulary: Chinese has more of them than are useful.
    kept = sorted(seen, key=lambda letter: (-seen[letter], letter))[: vocabulary_size // 4]
    pieces = [f"##{letter}" for letter in sorted(inside.intersection(kept))]
    scratch = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    scratch.normalizer, scratch.pre_tokenizer = normalizer, words
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        initial_alphabet=kept,
        limit_alphabet=len(kept),
        special_tokens=[*SPECIAL_TOKENS, *pieces],
        show_progress=False,
    )
    scratch.train_from_iterator(texts, trainer)
    engine = Tokenizer(models.WordPiece(scratch.get_vocab(), unk_token="[UNK]"))
    engine.normalizer, engine.pre_tokenizer = normalizer, words
    engine.decoder = decoders.WordPiece()
    return engine


def _learn_bpe(texts: Iterable[str], normalizer: Any, vocabulary_size: int) -> tokenizers.Tokenizer:
    """Byte-level BPE (Radford et al. 2019): all 256 bytes are units, so that no text is lost."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    engine = Tokenizer(models.BPE())
    engine.normalizer = normalizer
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(ALONE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    engine.train_from_iterator(texts, trainer)
    return engine


def _learn_words(
    texts: Iterable[str], normalizer: Any, vocabulary_size: int
) -> tokenizers.Tokenizer:
    return _learn_units(texts, normalizer, vocabulary_size, units=_words(), decoder=None)


def _learn_characters(
    texts: Iterable[str], normalizer: Any, vocabulary_size: int
) -> tokenizers.Tokenizer:
    from tokenizers import Regex, decoders, pre_tokenizers

    units = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return _learn_units(texts, normalizer, vocabulary_size, units=units, decoder=decoders.Fuse())


def _learn_units(
    texts: Iterable[str], normalizer: Any, vocabulary_size: int, *, units: Any, decoder: Any
) -> tokenizers.Tokenizer:
    """The most frequent units, with ids."""
    from tokenizers import Tokenizer, models, trainers

    engine = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    engine.normalizer, engine.pre_tokenizer, engine.decoder = normalizer, units, decoder
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocabulary_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False
    )
    engine.train_from_iterator(texts, trainer)
    return engine


def _words() -> Any:
    """Split at spaces and punctuation, and into characters where a script has no spaces."""
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(ALONE), "isolated"),
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Split(Regex(rf"[^\s]{{{LONGEST_WORD}}}"), "isolated"),
        ]
    )
