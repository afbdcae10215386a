"""The settings of every embedding model. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.nlp.tasks.settings import TransformerSettings


@dataclass(frozen=True)
class WordVectorSettings:
    """Settings of all word vectors: the vocabulary, and the weights of words in a text."""

    lowercase: bool = option(True, "ignore the case of letters")
    vocabulary_size: int = option(100_000, "maximum number of words", minimum=2)
    min_count: int = option(5, "minimum frequency of a word", minimum=1)
    dimension: int = option(100, "dimension of the vectors", minimum=1, search="50,100,200,300")
    window: int = option(5, "context words on each side", minimum=1, maximum=50)
    sif: float = option(
        1e-3,
        "SIF weighting: a word of frequency p weighs sif / (sif + p); 0: uniform",
        minimum=0.0,
        maximum=1.0,
        search="1e-4..1e-2",
    )
    max_length: int = option(1024, "maximum words of a text in prediction", minimum=1)

    default_batch_size: ClassVar[int] = 256


@dataclass(frozen=True)
class Word2VecSettings(WordVectorSettings):
    """Words predict their neighbours, or neighbours the word (Mikolov et al. 2013)."""

    architecture: str = option(
        "skip-gram", "training objective", choices=("skip-gram", "cbow"), search="skip-gram,cbow"
    )
    negatives: int = option(5, "negative samples for each positive one", minimum=1, maximum=50)
    sample: float = option(
        1e-3, "subsampling threshold of frequent words; 0: none", minimum=0.0,
        maximum=1.0,
    )  # fmt: skip
    epochs: int | None = option(
        None,
        "passes over the text; by default 5, more for small texts",
        minimum=1,
        maximum=1000,
        search="5..20",
    )
    rate: float = option(
        0.025, "initial learning rate; decays linearly to 0", minimum=1e-6, maximum=1.0,
        search="0.01..0.1",
    )  # fmt: skip


@dataclass(frozen=True)
class FastTextSettings(Word2VecSettings):
    """word2vec with words as the mean of their letter n-grams (Bojanowski et al. 2017)."""

    buckets: int = option(200_000, "hash buckets of letter n-grams", minimum=1, maximum=10_000_000)
    min_ngram: int = option(3, "letters of the shortest n-gram", minimum=1, maximum=20)
    max_ngram: int = option(6, "letters of the longest n-gram", minimum=1, maximum=20)


@dataclass(frozen=True)
class GloveSettings(WordVectorSettings):
    """Products of vectors approximate log co-occurrence counts (Pennington et al. 2014)."""

    window: int = option(10, "context words on each side", minimum=1, maximum=50)
    epochs: int = option(25, "passes over the counts", minimum=1, maximum=1000, search="15..50")
    rate: float = option(
        0.05, "learning rate of AdaGrad", minimum=1e-6, maximum=1.0, search="0.01..0.1"
    )


@dataclass(frozen=True)
class PairLossSettings:
    """Losses of pairs."""

    temperature: float = option(
        0.05, "temperature of the cosines in losses of pairs", minimum=1e-3, maximum=10.0,
        search="0.02..0.2",
    )  # fmt: skip
    scored_loss: str = option(
        "ranking",
        "loss of scored pairs: rank (CoSENT) or regression on the values",
        choices=("ranking", "regression"),
        search="ranking,regression",
    )


@dataclass(frozen=True)
class SentenceTransformerSettings(PairLossSettings, TransformerSettings):
    """A transformer whose mean-pooled tokens are the vector of a text."""

    # Fixed for classifiers, an option here.
    pooling: str = option(  # type: ignore[misc]
        "mean", "pooling of token features", choices=("mean", "cls", "max")
    )


@dataclass(frozen=True)
class SentenceHubSettings(PairLossSettings):
    """A pretrained encoder whose mean-pooled tokens are the vector of a text (needs --from)."""

    pooling: str = option("mean", "pooling of token features", choices=("mean", "cls", "max"))
    max_length: int = option(128, "maximum tokens of a text", minimum=4)

    default_learning_rate: ClassVar[float] = 2e-5
    default_epochs: ClassVar[int] = 2
    default_steps: ClassVar[int] = 100


@dataclass(frozen=True)
class StaticSettings(PairLossSettings):
    """One vector per token, distilled from an encoder without training (needs --from)."""

    backbone: str = option("hub", "kind of the encoder, determined by --from")
    pooling: str = option("mean", "pooling of token features", choices=("mean", "cls", "max"))
    dimension: int = option(256, "number of principal components", minimum=1, search="64..384")
    sif: float = option(
        1e-3,
        "SIF weighting: a token of frequency p weighs sif / (sif + p); 0: uniform",
        minimum=0.0,
        maximum=1.0,
        search="1e-4..1e-2",
    )
    max_length: int = option(512, "maximum tokens of a text", minimum=4)

    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 0
    default_steps: ClassVar[int] = 0
