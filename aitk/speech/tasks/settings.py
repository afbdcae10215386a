"""The settings of every speech model. Standard library only: help imports this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.speech.data.options import FEATURES, FEATURES_HELP, AugmentOptions, FeatureOptions


@dataclass(frozen=True)
class SpeechSettings(AugmentOptions, FeatureOptions):
    """Settings common to all models trained from scratch: features and augmentation.

    ``pooling`` reduces the steps of a recording to one vector; ``default_learning_rate`` and
    ``default_epochs`` are the training defaults.
    """

    normalization: str = option(
        "batch",
        "of features, where the network has any: batch (Ioffe and Szegedy 2015) or group (Wu and He"
        " 2018), which mixes no rows, as --private needs",
        choices=("batch", "group"),
    )

    pooling: ClassVar[str] = "mean"
    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 30
    default_steps: ClassVar[int] = 2000


# Keywords -----------------------------------------------------------------


@dataclass(frozen=True)
class KeywordSettings(SpeechSettings):
    """Short audio: a third of a second is too little for the mean of a voice, so normalisation by
    speaker separates words far better than by utterance."""

    normalise: str = option(
        "speaker", "scope of feature normalisation; corpus if the speakers are unknown",
        choices=("none", "utterance", "speaker", "corpus"),
    )  # fmt: skip
    smoothing: float = option(
        0.0,
        "label smoothing: share of the target spread over all classes",
        minimum=0.0,
        maximum=0.9,
    )


@dataclass(frozen=True)
class CnnSettings(KeywordSettings):
    """Convolutions over time and frequency with max pooling (Sainath and Parada 2015)."""

    # With forty filters, telephone speech resolves the harmonics of low voices, not the words.
    filters: int = option(24, "mel filters (fbank, mfcc, librosa-mel)", minimum=8, maximum=256)
    time_masks: int = option(0, "time masks (SpecAugment)", minimum=0, inherited=False)
    frequency_masks: int = option(0, "frequency masks (SpecAugment)", minimum=0, inherited=False)
    smoothing: float = option(
        0.1,
        "label smoothing: share of the target spread over all classes",
        minimum=0.0,
        maximum=0.9,
    )
    max_start_crop: float = option(
        0.4, "crop up to this share off the start of half of the training recordings",
        minimum=0.0, maximum=0.9, inherited=False,
    )  # fmt: skip
    max_end_crop: float = option(
        0.6,
        "crop up to this share off the end of half of the training recordings",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    max_tempo_change: float = option(
        0.2, "stretch features in time by up to this share, at constant pitch",
        minimum=0.0, maximum=1.0, inherited=False,
    )  # fmt: skip
    channels: int = option(
        24, "channels of the first convolution; the others have 2, 2, 3 and 4 times as many",
        minimum=1,
    )  # fmt: skip
    channel_dropout: float = option(
        0.1, "dropout rate of channels between convolutions", minimum=0.0, maximum=0.95
    )
    dropout: float = option(
        0.4, "dropout rate before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    pooling: ClassVar[str] = "max"


@dataclass(frozen=True)
class DsCnnSettings(KeywordSettings):
    """Depthwise separable convolutions over time and frequency (Zhang et al. 2017)."""

    channels: int = option(64, "channels of every convolution", minimum=1)
    blocks: int = option(5, "separable convolutions", minimum=1)
    dropout: float = option(
        0.2, "dropout rate before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )


@dataclass(frozen=True)
class TcResNetSettings(KeywordSettings):
    """Residual convolutions over time, frequency as channels (Choi et al. 2019)."""

    multiplier: float = option(
        1.0, "multiplier of the channels 16, 24, 32, 48", minimum=0.1, maximum=8.0
    )
    blocks: int = option(2, "residual blocks per width, of three", minimum=1)
    dropout: float = option(
        0.5, "dropout rate before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )


@dataclass(frozen=True)
class BiLstmSettings(KeywordSettings):
    """A bidirectional LSTM (Hochreiter and Schmidhuber 1997) over subsampled frames."""

    hidden: int = option(64, "size of the state in each direction", minimum=1)
    layers: int = option(2, "recurrent layers", minimum=1)
    subsampling: int = option(2, "frames per step: 1, 2, 4 or 8", minimum=1, maximum=8)
    dropout: float = option(0.3, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")


@dataclass(frozen=True)
class TransformerSettings(KeywordSettings):
    """A pre-norm transformer over subsampled frames (Xiong et al. 2020)."""

    hidden: int = option(64, "size of a step; a multiple of heads", minimum=2)
    layers: int = option(3, "attention layers", minimum=1)
    heads: int = option(4, "attention heads", minimum=1)
    subsampling: int = option(2, "frames per step: 1, 2, 4 or 8", minimum=1, maximum=8)
    dropout: float = option(0.1, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class GmmHmmSettings(FeatureOptions):
    """One hidden Markov model per word with Gaussian mixtures as states (Rabiner 1989, VI)."""

    features: str = option("mfcc", FEATURES_HELP, choices=FEATURES)
    filters: int = option(23, "mel filters (fbank, mfcc, librosa-mel)", minimum=4, maximum=256)
    deltas: int = option(2, "orders of time derivatives to append", minimum=0, maximum=2)
    normalise: str = option(
        "speaker", "scope of feature normalisation; corpus if the speakers are unknown",
        choices=("none", "utterance", "speaker", "corpus"),
    )  # fmt: skip
    speeds: list[float] = option(
        [0.85, 1.15], "additional speeds of every training recording", minimum=0.5, maximum=2.0
    )
    states: int = option(6, "left-to-right states per word", minimum=1, maximum=64, search="4,6,8")
    mixtures: int = option(2, "Gaussians per state", minimum=1, maximum=64, search="1,2,4")
    iterations: int = option(8, "maximum iterations of Baum-Welch", minimum=1)
    min_variance: float = option(
        0.05,
        "minimum variance of a Gaussian in features of variance 1",
        minimum=1e-6,
        search="0.01..0.3",
    )

    pooling: ClassVar[str] = "mean"
    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 1
    default_steps: ClassVar[int] = 1


# Transcription ------------------------------------------------------------


@dataclass(frozen=True)
class TranscriberSettings(SpeechSettings):
    """Settings common to all recognisers."""

    units: str = option("char", "output units", choices=("char", "subword", "word", "phone"))
    vocabulary_size: int = option(200, "maximum number of units (subword, word)", minimum=4)
    lexicon: str | None = option(
        None, "pronunciation lexicon for phones: one word and its phones per line"
    )
    lm_order: int = option(
        3, "order of the n-gram language model of the transcripts, for predict --lm self;"
        " 0: none",
        minimum=0, maximum=6,
    )  # fmt: skip

    default_epochs: ClassVar[int] = 40


@dataclass(frozen=True)
class BiLstmCtcSettings(TranscriberSettings):
    """A bidirectional LSTM with CTC (Amodei et al. 2016, Deep Speech 2)."""

    hidden: int = option(128, "size of the state in each direction", minimum=1)
    layers: int = option(3, "recurrent layers", minimum=1)
    subsampling: int = option(4, "frames per step: 1, 2, 4 or 8", minimum=1, maximum=8)
    dropout: float = option(0.3, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")


@dataclass(frozen=True)
class TcnSettings(TranscriberSettings):
    """Dilated convolutions (Bai et al. 2018); causal ones support streaming."""

    channels: int = option(128, "channels of every convolution", minimum=1)
    blocks: int = option(
        4, "residual blocks per stack, with doubling dilation", minimum=1, maximum=10
    )
    stacks: int = option(2, "stacks of blocks", minimum=1)
    width: int = option(5, "kernel size of a convolution, in steps", minimum=2)
    subsampling: int = option(4, "frames per step: 1, 2, 4 or 8", minimum=1, maximum=8)
    causal: bool = option(False, "use no later frames, to support streaming")
    dropout: float = option(0.1, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    @property
    def chunk_frames(self) -> int:
        """Frames that a causal model needs at once."""
        return self.subsampling

    @property
    def context_frames(self) -> int:
        """Frames of left context of a causal model."""
        steps = self.stacks * 2 * (self.width - 1) * (2**self.blocks - 1)
        return _subsampling_context(self.subsampling) + steps * self.subsampling


@dataclass(frozen=True)
class ConformerSettings(TranscriberSettings):
    """Attention and convolutions in alternation (Gulati et al. 2020)."""

    hidden: int = option(96, "size of a step; a multiple of heads", minimum=2)
    layers: int = option(4, "conformer blocks", minimum=1)
    heads: int = option(4, "attention heads", minimum=1)
    width: int = option(15, "kernel size of a convolution, in steps", minimum=2)
    subsampling: int = option(4, "frames per step: 1, 2, 4 or 8", minimum=1, maximum=8)
    front: str = option(
        "time", "front end: convolutions over time with filters as channels, or over time and"
        " frequency, which generalises to new speakers",
        choices=("time", "plane"),
    )  # fmt: skip
    causal: bool = option(False, "use no later chunks, to support streaming")
    chunk_steps: int = option(8, "steps per attention chunk, if causal", minimum=1)
    left_steps: int = option(32, "steps of left context before a chunk, if causal", minimum=0)
    dropout: float = option(0.1, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    default_learning_rate: ClassVar[float] = 1e-3

    @property
    def chunk_frames(self) -> int:
        """Frames that a causal model needs at once."""
        return self.chunk_steps * self.subsampling

    @property
    def context_frames(self) -> int:
        """Frames of left context of a causal model."""
        each = self.left_steps + self.chunk_steps - 1 + self.width - 1
        return _subsampling_context(self.subsampling) + self.layers * each * self.subsampling


@dataclass(frozen=True)
class JointTransformerSettings(TranscriberSettings):
    """A transformer with two heads: CTC, and an attention decoder
    (Watanabe et al. 2017, hybrid CTC/attention)."""

    hidden: int = option(96, "size of a step; a multiple of heads", minimum=2)
    layers: int = option(4, "attention layers of the encoder", minimum=1)
    decoder_layers: int = option(2, "attention layers of the decoder", minimum=1)
    heads: int = option(4, "attention heads", minimum=1)
    subsampling: int = option(4, "frames per step: 1, 2, 4 or 8", minimum=1, maximum=8)
    ctc_weight: float = option(0.3, "weight of the CTC loss", minimum=0.0, maximum=1.0)
    dropout: float = option(0.1, "dropout rate", minimum=0.0, maximum=0.95, search="0..0.5")

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class Seq2SeqSettings(AugmentOptions):
    """Settings common to pretrained encoder-decoders: augmentation (needs --from)."""

    max_tokens: int = option(224, "maximum text length, in tokens", minimum=1, maximum=448)

    #: ``whisper`` or ``moonshine``.
    network: ClassVar[str]
    default_learning_rate: ClassVar[float] = 1e-5
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 200


@dataclass(frozen=True)
class WhisperSettings(Seq2SeqSettings):
    """Whisper (Radford et al. 2023), with its own vocabulary (needs --from)."""

    language: str | None = option(
        None, "spoken language, such as fr; detected by the model when transcribing"
    )
    translate: bool = option(False, "translate into English")
    times: bool = option(False, "predict segment times, and train on them")

    network: ClassVar[str] = "whisper"


@dataclass(frozen=True)
class MoonshineSettings(Seq2SeqSettings):
    """Moonshine (Jeffries et al. 2024): English, fast for short recordings (needs --from)."""

    network: ClassVar[str] = "moonshine"


# Pretraining --------------------------------------------------------------


@dataclass(frozen=True)
class MaskedSpeech:
    """Masking and codes of masked speech prediction (Chiu et al. 2022, section 3)."""

    time_masks: int = option(0, "additional time masks (SpecAugment)", minimum=0, inherited=False)
    frequency_masks: int = option(
        0, "additional frequency masks (SpecAugment)", minimum=0, inherited=False
    )
    mask_share: float = option(
        0.4, "approximate masked share of a recording", minimum=0.05, maximum=0.9
    )
    mask_ms: float = option(200.0, "length of a masked span", minimum=10.0)
    codes: int = option(512, "entries of a random codebook", minimum=2, maximum=65536)
    code_size: int = option(16, "size of a codebook entry", minimum=1)
    codebooks: int = option(
        1, "number of random codebooks to predict (Baumann et al. 2025)",
        minimum=1, maximum=64,
    )  # fmt: skip
    projection: str = option(
        "random", "input of the codes: a random projection of a step, or its principal"
        " components (Yang et al. 2026)",
        choices=("random", "pca"),
    )  # fmt: skip

    default_epochs: ClassVar[int] = 40


@dataclass(frozen=True)
class MaskedConformerSettings(MaskedSpeech, ConformerSettings):
    """Attention and convolutions in alternation (Gulati et al. 2020), for masked speech."""


@dataclass(frozen=True)
class MaskedBiLstmSettings(MaskedSpeech, BiLstmCtcSettings):
    """A bidirectional LSTM, for masked speech."""


@dataclass(frozen=True)
class MaskedTcnSettings(MaskedSpeech, TcnSettings):
    """Dilated convolutions (Bai et al. 2018), for masked speech."""


@dataclass(frozen=True)
class MaskedTransformerSettings(MaskedSpeech, JointTransformerSettings):
    """Self-attention, for masked speech."""


def _subsampling_context(factor: int) -> int:
    """Left context in frames of stacked causal convolutions of width 3 and stride 2."""
    halvings = factor.bit_length() - 1
    return sum(2 * 2**index for index in range(halvings)) or 2
