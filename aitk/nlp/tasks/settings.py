"""The settings of every text model. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option

TRAINED_TOKENIZERS = ("wordpiece", "bpe", "word", "char")


@dataclass(frozen=True)
class TextSettings:
    """Settings of all models trained from scratch: tokenisation.

    ``pooling`` is the pooling of features; ``linear`` marks a model that is linear in its units,
    weighted by inverse document frequency; ``default_learning_rate`` and ``default_epochs`` are
    the defaults of training.
    """

    tokenizer: str = option("wordpiece", "unit of the vocabulary", choices=TRAINED_TOKENIZERS)
    vocabulary_size: int = option(16000, "vocabulary size", minimum=300)
    lowercase: bool = option(True, "ignore the case of letters")
    max_length: int = option(128, "maximum units of a text", minimum=4)

    pooling: ClassVar[str] = "mean"
    linear: ClassVar[bool] = False
    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 500


@dataclass(frozen=True)
class MixSettings:
    """How languages are sampled."""

    mix: float = option(
        1.0,
        "exponent of language shares: 1 keeps them, 0.3 upsamples rare languages",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )


@dataclass(frozen=True)
class CausalSettings(MixSettings):
    """How texts become training windows."""

    pack: bool = option(
        False,
        "join texts to full windows of max_length units; the default for running text"
        " (prepare --join-lines)",
    )


@dataclass(frozen=True)
class BagSettings(TextSettings):
    """Embedded words and n-grams, weighted by rarity (Joulin et al. 2016, fastText)."""

    tokenizer: str = option(
        "hashed", "unit of the vocabulary", choices=("hashed", *TRAINED_TOKENIZERS)
    )
    vocabulary_size: int = option(100_000, "vocabulary size or number of hash buckets", minimum=300)
    max_length: int = option(2048, "maximum units of a text", minimum=16)
    ngrams: int = option(3, "longest word n-gram", minimum=1, maximum=5)
    character_ngrams: int = option(
        5,
        "longest character n-gram (from 3), for short texts; 0 for none",
        minimum=0,
        maximum=8,
    )
    hidden: int = option(32, "embedding dimension, at most the number of classes", minimum=1)
    dropout: float = option(
        0.0, "dropout rate of words and n-grams", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    pooling: ClassVar[str] = "root"
    linear: ClassVar[bool] = True
    max_batch_size: ClassVar[int] = 1024
    default_learning_rate: ClassVar[float] = 1e-2
    default_epochs: ClassVar[int] = 6


@dataclass(frozen=True)
class EmbeddingFlags:
    """Initial word vectors of models that embed words."""

    embeddings: str | None = option(
        None,
        "initial word vectors: an embed run, or a GloVe or word2vec file; units are words",
        inherited=False,
    )


@dataclass(frozen=True)
class CnnSettings(EmbeddingFlags, TextSettings):
    """Convolutions of several widths over words, with max pooling (Kim 2014)."""

    hidden: int = option(128, "embedding dimension", minimum=1)
    filters: int = option(128, "filters of each width", minimum=1)
    dropout: float = option(0.5, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    pooling: ClassVar[str] = "max"
    default_learning_rate: ClassVar[float] = 5e-4
    default_epochs: ClassVar[int] = 4


@dataclass(frozen=True)
class RnnSettings(EmbeddingFlags, TextSettings):
    """A bidirectional simple recurrent network (Elman 1990)."""

    hidden: int = option(128, "embedding dimension and state size per direction", minimum=1)
    layers: int = option(1, "recurrent layers", minimum=1)
    dropout: float = option(0.3, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    pooling: ClassVar[str] = "max"


@dataclass(frozen=True)
class LstmSettings(RnnSettings):
    """A bidirectional LSTM (Hochreiter and Schmidhuber 1997)."""


@dataclass(frozen=True)
class TransformerSettings(TextSettings):
    """A transformer encoder trained from scratch, pre-norm (Xiong et al. 2020)."""

    size: str = option("tiny", "width and depth", choices=("tiny", "small", "base"))
    dropout: float = option(0.1, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    default_epochs: ClassVar[int] = 5


@dataclass(frozen=True)
class HubSettings:
    """A pretrained Keras Hub encoder with its tokeniser (needs --from)."""

    pooling: str = option("mean", "pooling of token features", choices=("mean", "cls", "max"))
    max_length: int = option(128, "maximum tokens of a text", minimum=4)
    dropout: float = option(
        0.1, "dropout rate before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    linear: ClassVar[bool] = False
    default_learning_rate: ClassVar[float] = 5e-5
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 200


@dataclass(frozen=True)
class StaticClassifierSettings:
    """One vector per token, distilled from an encoder (--from, or --distill), then trained."""

    backbone: str = option("hub", "kind of the encoder, determined by --from")
    pooling: str = option(
        "mean", "pooling of the encoder's features", choices=("mean", "cls", "max")
    )
    dimension: int = option(256, "number of principal components", minimum=1, search="64..384")
    sif: float = option(
        1e-3,
        "initial SIF weighting: a token of frequency p weighs sif / (sif + p); 0: uniform",
        minimum=0.0,
        maximum=1.0,
    )
    max_length: int = option(512, "maximum tokens of a text", minimum=4)
    dropout: float = option(
        0.1, "dropout rate before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    linear: ClassVar[bool] = False
    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 10
    default_steps: ClassVar[int] = 500


@dataclass(frozen=True)
class MaskedTransformerSettings(MixSettings, TransformerSettings):
    """The transformer as a masked language model (Devlin et al. 2018, section 3.1)."""

    mask_share: float = option(0.15, "share of masked tokens", minimum=0.01, maximum=0.9)
    whole_words: bool = option(False, "mask all tokens of a word or none")

    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class MaskedHubSettings(MixSettings, HubSettings):
    """A pretrained encoder, trained further as a masked language model."""

    mask_share: float = option(0.15, "share of masked tokens", minimum=0.01, maximum=0.9)
    whole_words: bool = option(False, "mask all tokens of a word or none")


@dataclass(frozen=True)
class GptSettings(CausalSettings, TransformerSettings):
    """GPT: a causal transformer (Radford et al. 2019)."""

    tokenizer: str = option("bpe", "unit of the vocabulary", choices=TRAINED_TOKENIZERS)
    vocabulary_size: int = option(8000, "vocabulary size", minimum=300)
    lowercase: bool = option(False, "ignore the case of letters")

    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class CausalLstmSettings(CausalSettings, TextSettings):
    """A causal LSTM (Zaremba et al. 2014)."""

    tokenizer: str = option("bpe", "unit of the vocabulary", choices=TRAINED_TOKENIZERS)
    vocabulary_size: int = option(8000, "vocabulary size", minimum=300)
    lowercase: bool = option(False, "ignore the case of letters")
    hidden: int = option(256, "embedding dimension and state size", minimum=1)
    layers: int = option(1, "recurrent layers", minimum=1)
    dropout: float = option(0.3, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class CausalHubSettings(CausalSettings):
    """A pretrained Keras Hub decoder such as GPT-2, with its tokeniser (needs --from)."""

    max_length: int = option(128, "maximum tokens of a text", minimum=4)

    default_learning_rate: ClassVar[float] = 5e-5
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 200


@dataclass(frozen=True)
class BilstmCrfSettings(EmbeddingFlags):
    """A bidirectional LSTM over words and characters with a CRF (Lample et al. 2016; the
    character convolutions of Ma and Hovy 2016)."""

    vocabulary_size: int = option(50_000, "maximum number of words", minimum=300)
    max_length: int = option(256, "maximum words of a window", minimum=4)
    embedding: int = option(50, "dimension of word embeddings", minimum=1, search="25..300")
    character_embedding: int = option(30, "dimension of character embeddings", minimum=1)
    character_filters: int = option(100, "filters over characters", minimum=1)
    hidden: int = option(100, "state size per direction", minimum=1, search="50..300")
    layers: int = option(1, "recurrent layers", minimum=1)
    dropout: float = option(
        0.5, "dropout rate", minimum=0.0, maximum=0.95, inherited=False,
        search="0.1..0.7",
    )  # fmt: skip

    crf: ClassVar[bool] = True
    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 15
    default_steps: ClassVar[int] = 600
    default_batch_size: ClassVar[int] = 16


@dataclass(frozen=True)
class TagTransformerSettings(TransformerSettings):
    """The transformer, with a tag at the first subword of each word."""

    lowercase: bool = option(False, "ignore the case of letters")
    crf: bool = option(True, "train the transitions between tags (CRF)")

    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class TagHubSettings:
    """A pretrained Keras Hub encoder with its tokeniser (needs --from)."""

    max_length: int = option(128, "maximum tokens of a window", minimum=4)
    dropout: float = option(
        0.1, "dropout rate before the head", minimum=0.0, maximum=0.95, inherited=False
    )
    crf: bool = option(False, "train the transitions between tags (CRF)")

    default_learning_rate: ClassVar[float] = 5e-5
    default_epochs: ClassVar[int] = 5
    default_steps: ClassVar[int] = 300


@dataclass(frozen=True)
class QaTransformerSettings(TransformerSettings):
    """The transformer over question and context, with features for shared words."""

    max_length: int = option(256, "maximum tokens of question and context", minimum=16)
    overlap: int = option(64, "overlap of neighbouring windows in tokens", minimum=0)
    max_question: int = option(64, "maximum tokens of the question", minimum=1)
    max_answer: int = option(40, "maximum answer length in tokens", minimum=1)

    default_learning_rate: ClassVar[float] = 5e-4
    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class QaHubSettings:
    """A pretrained Keras Hub encoder with its tokeniser (needs --from)."""

    max_length: int = option(256, "maximum tokens of question and context", minimum=16)
    overlap: int = option(64, "overlap of neighbouring windows in tokens", minimum=0)
    max_question: int = option(64, "maximum tokens of the question", minimum=1)
    max_answer: int = option(40, "maximum answer length in tokens", minimum=1)
    dropout: float = option(
        0.1, "dropout rate before the head", minimum=0.0, maximum=0.95, inherited=False
    )

    default_learning_rate: ClassVar[float] = 1e-4
    default_epochs: ClassVar[int] = 4
    default_steps: ClassVar[int] = 300
