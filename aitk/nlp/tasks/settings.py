"""The settings of every text model. Standard library only: help texts read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option

TRAINED_TOKENIZERS = ("wordpiece", "bpe", "word", "char")


@dataclass(frozen=True)
class TextSettings:
    """What all models trained from scratch share: how text becomes ids.

    ``pooling`` says how a sequence of features becomes one vector; ``linear`` marks a model that is
    linear in its units, which weigh by their rarity; ``default_learning_rate`` and
    ``default_epochs`` are what training uses where the user names none.
    """

    tokenizer: str = option("wordpiece", "unit of the vocabulary", choices=TRAINED_TOKENIZERS)
    vocabulary_size: int = option(16000, "largest number of units", minimum=300)
    lowercase: bool = option(True, "ignore the case of letters")
    max_length: int = option(128, "units of a text that are read", minimum=4)

    pooling: ClassVar[str] = "mean"
    linear: ClassVar[bool] = False
    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 500


@dataclass(frozen=True)
class BagSettings(TextSettings):
    """Embedded words and word pairs, added up by their rarity (Joulin et al. 2016, fastText)."""

    tokenizer: str = option(
        "hashed", "unit of the vocabulary", choices=("hashed", *TRAINED_TOKENIZERS)
    )
    vocabulary_size: int = option(100_000, "hash buckets, or units", minimum=300)
    max_length: int = option(2048, "units of a text that are read", minimum=16)
    ngrams: int = option(3, "longest run of words hashed as one unit", minimum=1, maximum=5)
    character_ngrams: int = option(
        5,
        "longest run of letters hashed as one unit (from 3), of short texts; 0 for none",
        minimum=0,
        maximum=8,
    )
    hidden: int = option(32, "size of an embedding, at most the number of classes", minimum=1)
    dropout: float = option(
        0.0, "share of the words and word pairs dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    pooling: ClassVar[str] = "root"
    linear: ClassVar[bool] = True
    default_learning_rate: ClassVar[float] = 1e-2
    default_epochs: ClassVar[int] = 6


@dataclass(frozen=True)
class EmbeddingFlags:
    """Where the vectors of words start, of the models that embed words."""

    embeddings: str | None = option(
        None,
        "word vectors to start from: an embed run, or a GloVe or word2vec file; units are words",
        inherited=False,
    )


@dataclass(frozen=True)
class CnnSettings(EmbeddingFlags, TextSettings):
    """Convolutions of several widths over words, and their maxima (Kim 2014)."""

    hidden: int = option(128, "size of an embedding", minimum=1)
    filters: int = option(128, "filters of each width", minimum=1)
    dropout: float = option(
        0.5, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    pooling: ClassVar[str] = "max"
    default_learning_rate: ClassVar[float] = 5e-4
    default_epochs: ClassVar[int] = 4


@dataclass(frozen=True)
class RnnSettings(EmbeddingFlags, TextSettings):
    """A bidirectional simple recurrent network (Elman 1990)."""

    hidden: int = option(128, "size of an embedding, and of the state in each direction", minimum=1)
    layers: int = option(1, "recurrent layers", minimum=1)
    dropout: float = option(
        0.3, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    pooling: ClassVar[str] = "max"


@dataclass(frozen=True)
class LstmSettings(RnnSettings):
    """A bidirectional LSTM (Hochreiter and Schmidhuber 1997)."""


@dataclass(frozen=True)
class TransformerSettings(TextSettings):
    """An encoder of our own: attention, with the norms before it (Xiong et al. 2020)."""

    size: str = option("tiny", "width and depth", choices=("tiny", "small", "base"))
    dropout: float = option(
        0.1, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    default_epochs: ClassVar[int] = 5


@dataclass(frozen=True)
class HubSettings:
    """A pretrained Keras Hub encoder, with the tokeniser it was trained with (needs --from)."""

    pooling: str = option("mean", "how tokens become one vector", choices=("mean", "cls", "max"))
    max_length: int = option(128, "tokens of a text that are read", minimum=4)
    dropout: float = option(
        0.1, "share dropped before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    linear: ClassVar[bool] = False
    default_learning_rate: ClassVar[float] = 5e-5
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 200


@dataclass(frozen=True)
class MaskedTransformerSettings(TransformerSettings):
    """The transformer, and which tokens it is to guess (Devlin et al. 2018, section 3.1)."""

    mask_share: float = option(0.15, "share of the tokens to guess", minimum=0.01, maximum=0.9)
    whole_words: bool = option(False, "hide all tokens of a word or none")

    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class MaskedHubSettings(HubSettings):
    """A pretrained encoder to train further, and which tokens it is to guess."""

    mask_share: float = option(0.15, "share of the tokens to guess", minimum=0.01, maximum=0.9)
    whole_words: bool = option(False, "hide all tokens of a word or none")


@dataclass(frozen=True)
class GptSettings(TransformerSettings):
    """GPT: a transformer that looks back alone, at all tokens so far (Radford et al. 2019)."""

    tokenizer: str = option("bpe", "unit of the vocabulary", choices=TRAINED_TOKENIZERS)
    vocabulary_size: int = option(8000, "largest number of units", minimum=300)
    lowercase: bool = option(False, "ignore the case of letters")

    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class CausalLstmSettings(TextSettings):
    """An LSTM, which carries what it read along (Zaremba et al. 2014)."""

    tokenizer: str = option("bpe", "unit of the vocabulary", choices=TRAINED_TOKENIZERS)
    vocabulary_size: int = option(8000, "largest number of units", minimum=300)
    lowercase: bool = option(False, "ignore the case of letters")
    hidden: int = option(256, "size of an embedding, and of the state", minimum=1)
    layers: int = option(1, "recurrent layers", minimum=1)
    dropout: float = option(
        0.3, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class CausalHubSettings:
    """A pretrained Keras Hub decoder such as GPT-2, with its tokeniser (needs --from)."""

    max_length: int = option(128, "tokens of a text that are read", minimum=4)

    default_learning_rate: ClassVar[float] = 5e-5
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 200


@dataclass(frozen=True)
class BilstmCrfSettings(EmbeddingFlags):
    """Words and their characters, a bidirectional LSTM and a CRF (Lample et al. 2016; the
    character convolutions of Ma and Hovy 2016)."""

    vocabulary_size: int = option(50_000, "largest number of words", minimum=300)
    max_length: int = option(256, "words that are read at once", minimum=4)
    embedding: int = option(50, "size of a word's embedding", minimum=1, search="25..300")
    character_embedding: int = option(30, "size of a character's embedding", minimum=1)
    character_filters: int = option(100, "filters over characters", minimum=1)
    hidden: int = option(100, "size of the state in each direction", minimum=1, search="50..300")
    layers: int = option(1, "recurrent layers", minimum=1)
    dropout: float = option(
        0.5, "share of the features dropped", minimum=0.0, maximum=0.95, inherited=False,
        search="0.1..0.7",
    )  # fmt: skip

    crf: ClassVar[bool] = True
    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 15
    default_steps: ClassVar[int] = 600
    default_batch_size: ClassVar[int] = 16


@dataclass(frozen=True)
class TagTransformerSettings(TransformerSettings):
    """The transformer, a tag at the first subword of each word."""

    lowercase: bool = option(False, "ignore the case of letters")
    crf: bool = option(True, "learn the transitions between tags (a CRF)")

    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class TagHubSettings:
    """A pretrained Keras Hub encoder, with the tokeniser it was trained with (needs --from)."""

    max_length: int = option(128, "tokens that are read at once", minimum=4)
    dropout: float = option(
        0.1, "share dropped before the head", minimum=0.0, maximum=0.95, inherited=False
    )
    crf: bool = option(False, "learn the transitions between tags (a CRF)")

    default_learning_rate: ClassVar[float] = 5e-5
    default_epochs: ClassVar[int] = 5
    default_steps: ClassVar[int] = 300


@dataclass(frozen=True)
class QaTransformerSettings(TransformerSettings):
    """The transformer over question and context, told which words of one stand in the other."""

    max_length: int = option(256, "tokens of question and context that are read", minimum=16)
    overlap: int = option(64, "tokens that neighbouring windows share", minimum=0)
    max_question: int = option(64, "tokens of the question that are read", minimum=1)
    max_answer: int = option(40, "longest answer in tokens", minimum=1)

    default_learning_rate: ClassVar[float] = 5e-4
    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class QaHubSettings:
    """A pretrained Keras Hub encoder, with the tokeniser it was trained with (needs --from)."""

    max_length: int = option(256, "tokens of question and context that are read", minimum=16)
    overlap: int = option(64, "tokens that neighbouring windows share", minimum=0)
    max_question: int = option(64, "tokens of the question that are read", minimum=1)
    max_answer: int = option(40, "longest answer in tokens", minimum=1)
    dropout: float = option(
        0.1, "share dropped before the head", minimum=0.0, maximum=0.95, inherited=False
    )

    default_learning_rate: ClassVar[float] = 1e-4
    default_epochs: ClassVar[int] = 4
    default_steps: ClassVar[int] = 300
