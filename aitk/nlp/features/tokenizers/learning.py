"""Vocabularies learned from the training texts: WordPiece, BPE, words, characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from aitk.core.contract.errors import DataError
from aitk.nlp.features.tokenizers.hashing import HashedNgrams
from aitk.nlp.features.tokenizers.subwords import SubwordTokenizer, Tokenizer, framed

if TYPE_CHECKING:
    import tokenizers

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

#: Scripts written without spaces, split by character with its marks; and pictographs, so that an
#: unknown one does not make the adjacent word unknown.
ALONE = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{So}]"
    r"[\p{M}\x{FE0F}]*"
)
#: WordPiece treats longer words as unknown, so longer runs are split.
LONGEST_WORD = 64


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
