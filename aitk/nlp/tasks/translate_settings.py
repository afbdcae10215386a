"""The settings of translators. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.nlp.tasks.settings import TRAINED_TOKENIZERS, MixSettings


@dataclass(frozen=True)
class TranslatorSettings:
    """Settings of all translators: subwords, lengths, label smoothing."""

    tokenizer: str = option("bpe", "unit of the vocabulary", choices=TRAINED_TOKENIZERS)
    vocabulary_size: int = option(8000, "vocabulary size, shared by both languages", minimum=300)
    lowercase: bool = option(False, "ignore the case of letters")
    max_length: int = option(128, "maximum units of a sentence", minimum=8)
    label_smoothing: float = option(
        0.1,
        "label smoothing: probability shared by all other units",
        minimum=0.0,
        maximum=0.9,
        search="0,0.05,0.1,0.2",
        inherited=False,
    )

    default_epochs: ClassVar[int] = 20
    default_steps: ClassVar[int] = 2000
    default_batch_size: ClassVar[int] = 64


@dataclass(frozen=True)
class TransformerTranslatorSettings(TranslatorSettings):
    """A pre-norm encoder-decoder Transformer (Vaswani et al. 2017)."""

    size: str = option("small", "width and depth", choices=("tiny", "small", "base"))
    dropout: float = option(
        0.2,
        "dropout rate",
        minimum=0.0,
        maximum=0.95,
        search="0.1..0.4",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class LstmTranslatorSettings(TranslatorSettings):
    """LSTM encoder-decoder with global attention (Luong et al. 2015)."""

    hidden: int = option(256, "embedding dimension and state size", minimum=8)
    layers: int = option(1, "layers of the encoder, and of the decoder", minimum=1, maximum=8)
    dropout: float = option(
        0.3,
        "dropout rate",
        minimum=0.0,
        maximum=0.95,
        search="0.1..0.5",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 2e-3


@dataclass(frozen=True)
class HubTranslatorSettings:
    """A pretrained Keras Hub encoder-decoder, T5 or BART, with its tokeniser (needs --from)."""

    max_length: int = option(128, "maximum units of a sentence", minimum=8)
    label_smoothing: float = option(
        0.0, "label smoothing", minimum=0.0, maximum=0.9, search="0,0.05,0.1", inherited=False
    )
    prefix: str = option("", "text before every source, such as 'translate English to German: '")

    default_learning_rate: ClassVar[float] = 1e-4
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 300


@dataclass(frozen=True)
class NoiseSettings(MixSettings):
    """Which spans of a text are masked."""

    label_smoothing: float = option(
        0.0, "label smoothing", minimum=0.0, maximum=0.9, inherited=False,
    )  # fmt: skip
    noise: str = option(
        "infill",
        "infill: each span becomes one mask, the target is the text (BART); spans: each span"
        " becomes a sentinel, the target is the spans (T5)",
        choices=("infill", "spans"),
        inherited=False,
    )
    noise_share: float = option(
        0.3, "share of masked units", minimum=0.01, maximum=0.9, inherited=False
    )
    span: float = option(
        3.0, "mean length of a span in units", minimum=1.0, maximum=50.0, inherited=False
    )
    default_epochs: ClassVar[int] = 10


@dataclass(frozen=True)
class DenoisingTransformerSettings(NoiseSettings, TransformerTranslatorSettings):
    """Transformer encoder-decoder pretrained by denoising (Lewis et al. 2020)."""


@dataclass(frozen=True)
class DenoisingLstmSettings(NoiseSettings, LstmTranslatorSettings):
    """LSTM encoder-decoder pretrained by denoising."""
