"""The settings of every speech model. Standard library only: help texts read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.options import option
from aitk.speech.data.options import FEATURES, FEATURES_HELP, AugmentOptions, FeatureOptions


@dataclass(frozen=True)
class SpeechSettings(AugmentOptions, FeatureOptions):
    """What all models trained from scratch share: features and augmentation.

    ``pooling`` says how the steps of a recording become one vector; ``default_learning_rate`` and
    ``default_epochs`` are what training uses where the user names none.
    """

    pooling: ClassVar[str] = "mean"
    default_learning_rate: ClassVar[float] = 2e-3
    default_epochs: ClassVar[int] = 30
    default_steps: ClassVar[int] = 2000


# Keywords -----------------------------------------------------------------


@dataclass(frozen=True)
class KeywordSettings(SpeechSettings):
    """Short sounds: a third of a second says little of how its speaker sounds on average, so that
    normalising by speaker tells words apart far better than by utterance."""

    normalise: str = option(
        "speaker", "what has mean 0 and variance 1 in every feature; corpus where nobody is named",
        choices=("none", "utterance", "speaker", "corpus"),
    )  # fmt: skip
    smoothing: float = option(
        0.0, "share of the target spread over all classes", minimum=0.0, maximum=0.9
    )


@dataclass(frozen=True)
class CnnSettings(KeywordSettings):
    """Convolutions over time and frequency, with maxima between (Sainath and Parada 2015)."""

    # Forty filters of telephone speech separate the harmonics of low voices, not the words.
    filters: int = option(24, "mel filters (fbank, mfcc, librosa-mel)", minimum=8, maximum=256)
    time_masks: int = option(
        0, "stretches of time hidden (SpecAugment)", minimum=0, inherited=False
    )
    frequency_masks: int = option(0, "bands hidden (SpecAugment)", minimum=0, inherited=False)
    smoothing: float = option(
        0.1, "share of the target spread over all classes", minimum=0.0, maximum=0.9
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
        0.2, "make features longer or shorter by up to this share, at the same pitch",
        minimum=0.0, maximum=1.0, inherited=False,
    )  # fmt: skip
    channels: int = option(
        24, "channels of the first convolution; the others have 2, 2, 3 and 4 times as many",
        minimum=1,
    )  # fmt: skip
    channel_dropout: float = option(
        0.1, "share of the channels dropped between convolutions", minimum=0.0, maximum=0.95
    )
    dropout: float = option(
        0.4, "share dropped before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    pooling: ClassVar[str] = "max"


@dataclass(frozen=True)
class DsCnnSettings(KeywordSettings):
    """Depthwise separable convolutions over time and frequency (Zhang et al. 2017)."""

    channels: int = option(64, "channels of every convolution", minimum=1)
    blocks: int = option(5, "separable convolutions", minimum=1)
    dropout: float = option(
        0.2, "share dropped before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )


@dataclass(frozen=True)
class TcResNetSettings(KeywordSettings):
    """Residual convolutions over time, frequency as channels (Choi et al. 2019)."""

    multiplier: float = option(1.0, "of the channels 16, 24, 32, 48", minimum=0.1, maximum=8.0)
    blocks: int = option(2, "residual blocks of each of the three widths", minimum=1)
    dropout: float = option(
        0.5, "share dropped before the head", minimum=0.0, maximum=0.95, search="0..0.5"
    )


@dataclass(frozen=True)
class BiLstmSettings(KeywordSettings):
    """A bidirectional LSTM (Hochreiter and Schmidhuber 1997) over subsampled frames."""

    hidden: int = option(64, "size of the state in each direction", minimum=1)
    layers: int = option(2, "recurrent layers", minimum=1)
    subsampling: int = option(2, "frames a step: 1, 2, 4 or 8", minimum=1, maximum=8)
    dropout: float = option(
        0.3, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )


@dataclass(frozen=True)
class TransformerSettings(KeywordSettings):
    """Attention over subsampled frames, with the norms before it (Xiong et al. 2020)."""

    hidden: int = option(64, "size of a step; a multiple of heads", minimum=2)
    layers: int = option(3, "attention layers", minimum=1)
    heads: int = option(4, "attention heads", minimum=1)
    subsampling: int = option(2, "frames a step: 1, 2, 4 or 8", minimum=1, maximum=8)
    dropout: float = option(
        0.1, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class GmmHmmSettings(FeatureOptions):
    """A hidden Markov model a word, its states mixtures of Gaussians (Rabiner 1989, VI)."""

    features: str = option("mfcc", FEATURES_HELP, choices=FEATURES)
    filters: int = option(23, "mel filters (fbank, mfcc, librosa-mel)", minimum=4, maximum=256)
    deltas: int = option(2, "orders of time derivatives that are appended", minimum=0, maximum=2)
    normalise: str = option(
        "speaker", "what has mean 0 and variance 1 in every feature; corpus where nobody is named",
        choices=("none", "utterance", "speaker", "corpus"),
    )  # fmt: skip
    speeds: list[float] = option(
        [0.85, 1.15], "learn from every recording at these speeds as well", minimum=0.5, maximum=2.0
    )
    states: int = option(
        6, "states of a word, passed from left to right", minimum=1, maximum=64, search="4,6,8"
    )
    mixtures: int = option(2, "Gaussians a state", minimum=1, maximum=64, search="1,2,4")
    iterations: int = option(8, "rounds of Baum-Welch at most", minimum=1)
    min_variance: float = option(
        0.05,
        "smallest variance of a Gaussian in features of variance 1",
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
    """What all recognisers share: what they write with."""

    units: str = option(
        "char", "what the model writes with", choices=("char", "subword", "word", "phone")
    )
    vocabulary_size: int = option(200, "units at most (subword, word)", minimum=4)
    lexicon: str | None = option(
        None, "pronunciation lexicon for phones: a word and its phones a line"
    )
    lm_order: int = option(
        3, "words of the longest n-gram that is learned of the transcripts, for predict --lm self;"
        " 0 learns none",
        minimum=0, maximum=6,
    )  # fmt: skip

    default_epochs: ClassVar[int] = 40


@dataclass(frozen=True)
class BiLstmCtcSettings(TranscriberSettings):
    """A bidirectional LSTM that writes at every step (Amodei et al. 2016, Deep Speech 2)."""

    hidden: int = option(128, "size of the state in each direction", minimum=1)
    layers: int = option(3, "recurrent layers", minimum=1)
    subsampling: int = option(4, "frames a step: 1, 2, 4 or 8", minimum=1, maximum=8)
    dropout: float = option(
        0.3, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )


@dataclass(frozen=True)
class TcnSettings(TranscriberSettings):
    """Dilated convolutions (Bai et al. 2018); causal ones write while audio arrives."""

    channels: int = option(128, "channels of every convolution", minimum=1)
    blocks: int = option(4, "residual blocks a stack, the dilation doubling", minimum=1, maximum=10)
    stacks: int = option(2, "stacks of blocks", minimum=1)
    width: int = option(5, "steps a convolution looks at", minimum=2)
    subsampling: int = option(4, "frames a step: 1, 2, 4 or 8", minimum=1, maximum=8)
    causal: bool = option(False, "look at no later frame, so that audio can be streamed")
    dropout: float = option(
        0.1, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    @property
    def chunk_frames(self) -> int:
        """Frames that a causal model must have at once."""
        return self.subsampling

    @property
    def context_frames(self) -> int:
        """How many frames before a chunk a causal model looks back at."""
        steps = self.stacks * 2 * (self.width - 1) * (2**self.blocks - 1)
        return _subsampling_context(self.subsampling) + steps * self.subsampling


@dataclass(frozen=True)
class ConformerSettings(TranscriberSettings):
    """Attention and convolutions in turn (Gulati et al. 2020)."""

    hidden: int = option(96, "size of a step; a multiple of heads", minimum=2)
    layers: int = option(4, "conformer blocks", minimum=1)
    heads: int = option(4, "attention heads", minimum=1)
    width: int = option(15, "steps a convolution looks at", minimum=2)
    subsampling: int = option(4, "frames a step: 1, 2, 4 or 8", minimum=1, maximum=8)
    front: str = option(
        "time", "the first convolutions look over time, every filter a channel, or over the plane"
        " of time and frequency, which suits speakers who are not in the training rows",
        choices=("time", "plane"),
    )  # fmt: skip
    causal: bool = option(False, "look at no later chunk, so that audio can be streamed")
    chunk_steps: int = option(8, "steps that see each other, if causal", minimum=1)
    left_steps: int = option(32, "steps seen before one's own chunk, if causal", minimum=0)
    dropout: float = option(
        0.1, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    default_learning_rate: ClassVar[float] = 1e-3

    @property
    def chunk_frames(self) -> int:
        """Frames that a causal model must have at once."""
        return self.chunk_steps * self.subsampling

    @property
    def context_frames(self) -> int:
        """How many frames before a chunk a causal model looks back at."""
        each = self.left_steps + self.chunk_steps - 1 + self.width - 1
        return _subsampling_context(self.subsampling) + self.layers * each * self.subsampling


@dataclass(frozen=True)
class JointTransformerSettings(TranscriberSettings):
    """A transformer that writes twice: at every step, and unit by unit by attention to the steps
    (Watanabe et al. 2017, hybrid CTC/attention)."""

    hidden: int = option(96, "size of a step; a multiple of heads", minimum=2)
    layers: int = option(4, "attention layers of the encoder", minimum=1)
    decoder_layers: int = option(2, "attention layers of the decoder", minimum=1)
    heads: int = option(4, "attention heads", minimum=1)
    subsampling: int = option(4, "frames a step: 1, 2, 4 or 8", minimum=1, maximum=8)
    ctc_weight: float = option(
        0.3, "share of the loss that the steps have", minimum=0.0, maximum=1.0
    )
    dropout: float = option(
        0.1, "share of the features dropped", minimum=0.0, maximum=0.95, search="0..0.5"
    )

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class Seq2SeqSettings(AugmentOptions):
    """What pretrained encoder-decoders share: augmentation (needs --from)."""

    max_tokens: int = option(224, "longest text, in tokens", minimum=1, maximum=448)

    #: ``whisper`` or ``moonshine``.
    network: ClassVar[str]
    default_learning_rate: ClassVar[float] = 1e-5
    default_epochs: ClassVar[int] = 3
    default_steps: ClassVar[int] = 200


@dataclass(frozen=True)
class WhisperSettings(Seq2SeqSettings):
    """Whisper (Radford et al. 2023), with its own vocabulary (needs --from)."""

    language: str | None = option(
        None, "what is spoken, for instance fr; to transcribe, the model can find it by itself"
    )
    translate: bool = option(False, "write English, whatever is spoken")
    times: bool = option(False, "write when segments begin and end, and learn it as well")

    network: ClassVar[str] = "whisper"


@dataclass(frozen=True)
class MoonshineSettings(Seq2SeqSettings):
    """Moonshine (Jeffries et al. 2024): English, quick for short recordings (needs --from)."""

    network: ClassVar[str] = "moonshine"


# Pretraining --------------------------------------------------------------


@dataclass(frozen=True)
class MaskedSpeech:
    """What is hidden, and what is to be guessed of it (Chiu et al. 2022, section 3)."""

    time_masks: int = option(
        0, "stretches of time hidden besides (SpecAugment)", minimum=0, inherited=False
    )
    frequency_masks: int = option(
        0, "bands hidden besides (SpecAugment)", minimum=0, inherited=False
    )
    mask_share: float = option(
        0.4, "about how much of a recording is hidden", minimum=0.05, maximum=0.9
    )
    mask_ms: float = option(200.0, "length of a hidden stretch", minimum=10.0)
    codes: int = option(512, "entries of a random codebook", minimum=2, maximum=65536)
    code_size: int = option(16, "numbers an entry", minimum=1)
    codebooks: int = option(
        1, "random codebooks, all of which are to be guessed (Baumann et al. 2025)",
        minimum=1, maximum=64,
    )  # fmt: skip
    projection: str = option(
        "random", "what is named by codes: a random projection of a step, or its principal"
        " components (Yang et al. 2026)",
        choices=("random", "pca"),
    )  # fmt: skip

    default_epochs: ClassVar[int] = 40


@dataclass(frozen=True)
class MaskedConformerSettings(MaskedSpeech, ConformerSettings):
    """Attention and convolutions in turn (Gulati et al. 2020), for masked speech."""


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
    """How many frames causal convolutions of width 3 and stride 2 look back at, one on another."""
    halvings = factor.bit_length() - 1
    return sum(2 * 2**index for index in range(halvings)) or 2
