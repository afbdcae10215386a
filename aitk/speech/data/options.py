"""Options of reading recordings and computing features. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from aitk.core.contract.labels import MultiLabelReading
from aitk.core.contract.options import PredictOptions, option
from aitk.core.privacy.options import Redaction


@dataclass(frozen=True)
class AudioReading:
    """Location and preprocessing of recordings. By default only the sample rate and the number of
    channels change; all steps apply in training and in prediction alike."""

    audio_column: str | None = option(
        None, "column of the audio file, by name or number from 1", locates=True
    )
    speaker_column: str | None = option(
        None, "column of the speaker, by name or number from 1", locates=True
    )
    header: str = option(
        "auto", "whether the first line is a header", choices=("auto", "yes", "no"), locates=True
    )
    delimiter: str | None = option(None, "field delimiter: one character, or TAB", locates=True)
    encoding: str | None = option(None, "encoding of the text files, such as cp1252", locates=True)
    file_names: str | None = option(
        None,
        "pattern of audio file names, such as {label}_{speaker}_{}",
        locates=True,
    )
    outside: bool = option(False, "allow files outside the manifest's folder", locates=True)
    precomputed: bool = option(
        False, "in a Kaldi folder with both, read the features of feats.scp, not the audio of"
        " wav.scp", locates=True,
    )  # fmt: skip
    feature_shift_ms: float = option(
        10.0, "frame shift of precomputed features (feats.scp, .ark)",
        minimum=1.0, maximum=1000.0,
    )  # fmt: skip
    test_speakers: list[str] = option([], "speakers held out for test, separated by commas")
    validation_speakers: list[str] = option(
        [], "speakers held out for validation, separated by commas"
    )
    sample_rate_hz: int = option(16000, "sample rate to resample to", minimum=4000, maximum=48000)
    channel: str = option(
        "mix",
        "mix: mean of all channels; each: one row and one speaker per channel, as in recorded"
        " calls; or a channel number from 1; a table's column channel takes precedence",
        locates=True,
    )
    min_seconds: float = option(0.05, "refuse shorter recordings", minimum=0.0)
    max_seconds: float = option(
        30.0, "maximum length; longer recordings are cut at pauses, or refused if annotated",
        minimum=0.1, maximum=600.0,
    )  # fmt: skip
    min_level_dbfs: float = option(
        -70.0, "refuse recordings as silent if their loudest 25 ms stay below this", maximum=0.0
    )
    max_clipped: float = option(
        1.0, "refuse recordings with a larger share of clipped samples", minimum=0.0, maximum=1.0
    )
    min_voiced: float = option(
        0.0, "minimum share of voiced frames; 0.05 refuses noise without speech",
        minimum=0.0, maximum=1.0, locates=True,
    )  # fmt: skip
    remove_dc: bool = option(False, "subtract the mean of the samples")
    reduce_noise_db: float = option(
        0.0, "attenuate steady noise by this much (spectral gate); 0 for none",
        minimum=0.0, maximum=60.0,
    )  # fmt: skip
    component: str = option(
        "all", "keep only the harmonic part (voices, tones) or the percussive part (clicks, knocks)"
        " of the audio (librosa)", choices=("all", "harmonic", "percussive"),
    )  # fmt: skip
    trim_silence: bool = option(False, "trim silence at both ends")
    loudness_dbfs: float | None = option(
        None, "normalise every recording to this RMS level, such as -23, without clipping",
        minimum=-70.0, maximum=0.0,
    )  # fmt: skip


@dataclass(frozen=True)
class LabelledAudioReading(MultiLabelReading, AudioReading):
    """Recordings with one label each, such as a keyword, or with several labels."""

    label_column: str | None = option(None, "column of the label, by name or number from 1")
    split_by: str = option(
        "auto",
        "hold out whole speakers or single recordings; auto: speakers, if at least three are known"
        " and no splits are given",
        choices=("auto", "speaker", "recording"),
    )
    keep_na: bool = option(False, "labels such as NULL, nan, None and N/A are classes, not missing")


@dataclass(frozen=True)
class UnlabelledAudioReading(AudioReading):
    """Recordings without annotation; long ones are cut at pauses."""


@dataclass(frozen=True)
class TranscribedAudioReading(Redaction, AudioReading):
    """Recordings with transcripts."""

    text_column: str | None = option(None, "column of the transcript, by name or number from 1")
    unicode_form: str = option(
        "NFC", "Unicode normal form; NFKC also unifies widths", choices=("NFC", "NFKC", "none")
    )
    lowercase: bool = option(True, "write transcripts in lower case")
    strip_punctuation: bool = option(
        True, "drop punctuation and symbols, except apostrophes inside words"
    )
    max_characters_per_second: float = option(
        40.0, "refuse transcripts with more characters per second than this",
        minimum=1.0,
    )  # fmt: skip


FEATURES = ("fbank", "mfcc", "plp", "spectrogram", "librosa-mel", "chroma")
FEATURES_HELP = (
    "feature type; librosa-mel: librosa's mel spectrogram in dB (Slaney's filters); chroma:"
    " librosa's 12 pitch classes, for long frames; the others as in Kaldi"
)


@dataclass(frozen=True)
class FeatureOptions:
    """Features that a model reads. Defaults follow Kaldi, except for 40 filters.

    The settings of models that are trained from scratch inherit these.
    """

    features: str = option("fbank", FEATURES_HELP, choices=FEATURES)
    frame_ms: float = option(25.0, "length of a frame", minimum=5.0, maximum=200.0)
    shift_ms: float = option(10.0, "frame shift", minimum=1.0, maximum=100.0)
    filters: int = option(40, "mel filters (fbank, mfcc, librosa-mel)", minimum=4, maximum=256)
    coefficients: int = option(13, "cepstral coefficients (mfcc, plp)", minimum=2, maximum=80)
    window: str = option(
        "povey",
        "window of a frame",
        choices=("povey", "hamming", "hann", "blackman", "rectangular"),
    )
    preemphasis: float = option(0.97, "high-pass before the window", minimum=0.0, maximum=1.0)
    low_hz: float = option(20.0, "lower edge of the first filter", minimum=0.0)
    high_hz: float = option(
        0.0, "upper edge of the last filter; values <= 0 are relative to half the sample rate"
    )
    lifter: float = option(22.0, "cepstral lifter (mfcc, plp); 0 for none", minimum=0.0)
    energy: bool = option(True, "log energy in place of the first coefficient (mfcc, plp)")
    lpc_order: int = option(12, "order of the all-pole model (plp)", minimum=2, maximum=40)
    snip_edges: bool = option(True, "only whole frames; otherwise the ends are mirrored")
    dither: float = option(0.0, "noise added in training, in 16-bit steps", minimum=0.0)
    pitch: bool = option(False, "append voicing and log pitch of each frame")
    pitch_method: str = option(
        "kaldi", "kaldi: normalised cross-correlation; pyin: probabilistic YIN (librosa), slower",
        choices=("kaldi", "pyin"),
    )  # fmt: skip
    deltas: int = option(0, "orders of time derivatives to append", minimum=0, maximum=2)
    normalise: str = option(
        "utterance", "scope of feature normalisation",
        choices=("none", "utterance", "speaker", "corpus"),
    )  # fmt: skip


@dataclass(frozen=True)
class FeatureSettings(FeatureOptions):
    """Feature options plus the properties of the rows: a sample rate, or feature columns."""

    sample_rate_hz: int = option(16000, "sample rate", minimum=1000, maximum=192000)
    columns: int = option(
        0, "columns of precomputed features; 0: features are computed from audio", minimum=0
    )


@dataclass(frozen=True)
class AugmentOptions:
    """Augmentation in training; by default only SpecAugment masks."""

    time_masks: int = option(2, "time masks (SpecAugment)", minimum=0, inherited=False)
    time_mask_share: float = option(
        0.1,
        "maximum length of a time mask, as a share of the recording",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    frequency_masks: int = option(2, "frequency masks (SpecAugment)", minimum=0, inherited=False)
    frequency_mask_share: float = option(
        0.2,
        "maximum width of a frequency mask, as a share of the features",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    max_tempo_change: float = option(
        0.0, "stretch features in time by up to this share, at constant pitch",
        minimum=0.0, maximum=1.0, inherited=False,
    )  # fmt: skip
    max_vtlp: float = option(
        0.0, "shift filters up or down by up to this share (vocal tract length)"
        " (fbank)", minimum=0.0, maximum=0.5, inherited=False,
    )  # fmt: skip
    speeds: list[float] = option(
        [],
        "play at one of these speeds, such as 0.9,1,1.1",
        minimum=0.5,
        maximum=2.0,
        inherited=False,
    )
    max_start_crop: float = option(
        0.0, "crop up to this share off the start of half of the training recordings, as if they"
        " began late", minimum=0.0, maximum=0.9, inherited=False,
    )  # fmt: skip
    max_end_crop: float = option(
        0.0,
        "crop up to this share off the end of half of the training recordings",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    noise_share: float = option(
        0.0, "share of recordings with added noise", minimum=0.0, maximum=1.0, inherited=False
    )
    min_snr_db: float = option(5.0, "minimum signal-to-noise ratio of the noise", inherited=False)
    max_snr_db: float = option(25.0, "maximum signal-to-noise ratio of the noise", inherited=False)
    reverberation_share: float = option(
        0.0,
        "share of recordings with added reverberation",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    max_shift_ms: float = option(
        0.0, "shift the recording in time by up to this much", minimum=0.0, inherited=False
    )
    max_gain_db: float = option(
        0.0, "change the level by up to this much", minimum=0.0, inherited=False
    )


@dataclass(frozen=True)
class KeywordOptions(PredictOptions):
    """What is reported for a keyword."""

    log_probabilities: bool = option(
        False, "report the log-probability of every label (--out FILE.ark does)"
    )


@dataclass(frozen=True)
class TranscriptionOptions(PredictOptions):
    """Decoding of a recogniser: the likeliest unit at every step, or a beam search."""

    beam: int = option(
        0, "beam size; 1: no search; 0: 16 if another option needs a search",
        minimum=0, maximum=1000, scored=True,
    )  # fmt: skip
    lm: str | None = option(
        None,
        "language model: an ARPA file, a .txt with one sentence per line, a run of nlp generate,"
        " or self: the training transcripts",
        scored=True,
    )
    lm_weight: float = option(0.5, "weight of the language model", minimum=0.0, scored=True)
    word_bonus: float = option(1.0, "bonus per word, with a language model", scored=True)
    lexicon: str | None = option(
        None,
        "restrict words to those of a file, one per line (with phones for models of phones),"
        " or to self: those of training",
        scored=True,
    )
    hot_words: list[str] = option(
        [], "words to favour, with optional weights (default 5): taxi,kowalski:8", scored=True
    )
    words: bool = option(True, "report the time and the confidence of every word")
    min_confidence: float = option(
        0.0, "omit words below this confidence", minimum=0.0, maximum=1.0
    )
    log_probabilities: bool = option(
        False, "report the log-probability of every unit at every step (--out FILE.ark does)"
    )
    stream: bool = option(
        False, "feed the audio in chunks; report partial results and latency", scored=True
    )
    chunk_ms: float = option(
        320.0, "length of a chunk, rounded up to what the model needs", minimum=1.0, scored=True
    )


@dataclass(frozen=True)
class RecordOptions:
    """How ``record`` records."""

    out: str | None = option(None, "the .wav, .flac or .ogg to write")
    list_devices: bool = option(False, "list the recording devices and exit")
    device: str | None = option(None, "number or part of the name of a device (see --list-devices)")
    seconds: float = option(60.0, "maximum length", minimum=0.5, maximum=7200.0)
    stop_after: float = option(
        2.0, "stop after this many seconds of silence following sound; 0: never",
        minimum=0.0,
    )  # fmt: skip
    sample_rate_hz: int = option(16000, "sample rate", minimum=8000, maximum=192000)
