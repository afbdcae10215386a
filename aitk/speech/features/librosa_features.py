"""Features as defined by librosa: mel spectrograms, chroma, pYIN, harmonic-percussive separation.

Many papers and pretrained networks use librosa's features, which differ from Kaldi's: a Hann window
without pre-emphasis, and Slaney's mel filters over hertz. Librosa is imported on first use, which
compiles code and takes seconds.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np

from aitk.core.contract.errors import UsageError
from aitk.speech.data.options import FeatureOptions, FeatureSettings

#: Feature kinds (``FeatureOptions.features``) defined by librosa.
KINDS = ("librosa-mel", "chroma")
PITCH_CLASSES = 12
LEAST_POWER = 1e-10
#: Pitch range of pYIN, and its frame length: at least two periods of the lowest pitch.
LOWEST_HZ, HIGHEST_HZ, PITCH_FRAME_S = 50.0, 400.0, 0.064
#: Settings that exist only in Kaldi's definitions.
_KALDI_ONLY = ("window", "preemphasis", "dither")


def compute(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Features of the kinds in ``KINDS``.

    ``librosa-mel``: ``librosa.feature.melspectrogram`` in decibels (``power_to_db``), without a
    limit relative to the loudest frame, so that a frame's features depend on that frame alone.
    ``chroma``: ``librosa.feature.chroma_stft`` with A4 at 440 Hz. With ``snip_edges`` off, frames
    are centred, with zeros before the start.

    Args:
        samples: (n,) in [-1, 1] at ``settings.sample_rate_hz``.

    Returns:
        (frames, ``feature_size(settings)``) float32; empty if the audio is shorter than a frame.
    """
    import librosa

    size, shift = transform_length(settings), _samples(settings, settings.shift_ms)
    bank = _filters(settings)  # (filters, bins)
    if settings.snip_edges and len(samples) < size:
        return np.zeros((0, len(bank)), np.float32)
    with _quiet():
        spectrum = librosa.stft(
            np.asarray(samples, np.float32),
            n_fft=size,
            hop_length=shift,
            win_length=_samples(settings, settings.frame_ms),
            center=not settings.snip_edges,
        )
    found = bank @ np.abs(spectrum) ** 2  # (filters, frames)
    if settings.features == "chroma":
        found = librosa.util.normalize(found, norm=np.inf, axis=0)
    else:
        found = librosa.power_to_db(found, amin=LEAST_POWER, top_db=None)
    return np.ascontiguousarray(found.T, np.float32)


def size_of(settings: FeatureSettings) -> int:
    """The number of features per frame.

    Raises:
        UsageError: a setting exists only in Kaldi's definitions, or the filters are impossible.
    """
    defaults = FeatureOptions()
    for name in _KALDI_ONLY:
        if getattr(settings, name) != getattr(defaults, name):
            raise UsageError(
                f"features={settings.features} follows librosa, which has no {name}",
                where=f"--set {name}",
                hint="Leave it out, or choose fbank, mfcc, plp or spectrogram",
            )
    return len(_filters(settings))


def transform_length(settings: FeatureSettings) -> int:
    """Length of the Fourier transform in samples: the next power of two above a frame."""
    return 1 << (_samples(settings, settings.frame_ms) - 1).bit_length()


def pyin_pitch(
    samples: np.ndarray, settings: FeatureSettings, *, centres: np.ndarray
) -> np.ndarray:
    """Voicing and log pitch by probabilistic YIN (Mauch and Dixon 2014), ``librosa.pyin``.

    Args:
        samples: (n,) at ``settings.sample_rate_hz``.
        centres: (frames,) the centre sample of each frame, evenly spaced.

    Returns:
        (frames, 2) float32: the probability that a frame is voiced, and the natural logarithm of
        its pitch in hertz; an unvoiced frame has its likeliest pitch.
    """
    import librosa

    if not len(centres):
        return np.zeros((0, 2), np.float32)
    rate = settings.sample_rate_hz
    length = 1 << (round(PITCH_FRAME_S * rate) - 1).bit_length()
    before = length // 2 - int(centres[0])
    after = max(0, int(centres[-1]) + length // 2 - len(samples))
    padded = np.pad(np.asarray(samples, np.float32), (max(0, before), after))[max(0, -before) :]
    found, _, probability = librosa.pyin(
        padded,
        fmin=LOWEST_HZ,
        fmax=HIGHEST_HZ,
        sr=rate,
        frame_length=length,
        hop_length=_samples(settings, settings.shift_ms),
        fill_na=None,
        center=False,
    )
    frames = len(centres)
    return np.stack([probability[:frames], np.log(found[:frames])], axis=1).astype(np.float32)


def separate(samples: np.ndarray, component: str) -> np.ndarray:
    """The ``harmonic`` or the ``percussive`` component of audio (n,), as (n,) float32.

    Median filtering of the spectrogram over time and over frequency (Fitzgerald 2010), as in
    ``librosa.effects.hpss``.
    """
    import librosa

    parts = {"harmonic": librosa.effects.harmonic, "percussive": librosa.effects.percussive}
    with _quiet():
        return parts[component](np.asarray(samples, np.float32)).astype(np.float32)


@functools.lru_cache(maxsize=32)
def _filters_of(
    kind: str, filters: int, low_hz: float, top_hz: float, rate: int, size: int
) -> np.ndarray:
    import librosa

    if kind == "chroma":
        return librosa.filters.chroma(sr=rate, n_fft=size, n_chroma=PITCH_CLASSES, tuning=0.0)
    if not 0 <= low_hz < top_hz <= rate / 2:
        raise UsageError(
            f"filters from {low_hz:g} to {top_hz:g} Hz do not fit a sample rate of {rate} Hz",
            hint=f"Keep 0 <= low_hz < high_hz <= {rate / 2:g}",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # empty filters raise an error below
        bank = librosa.filters.mel(sr=rate, n_fft=size, n_mels=filters, fmin=low_hz, fmax=top_hz)
    if not bank.any(axis=1).all():
        raise UsageError(
            f"{filters} filters are too many for transforms of {size} samples: some are empty",
            hint="Use fewer filters or longer frames",
        )
    return bank


def _filters(settings: FeatureSettings) -> np.ndarray:
    """(filters, bins) float32."""
    high_hz = settings.high_hz
    top_hz = high_hz if high_hz > 0 else settings.sample_rate_hz / 2 + high_hz
    size = transform_length(settings)
    return _filters_of(
        settings.features, settings.filters, settings.low_hz, top_hz, settings.sample_rate_hz, size
    )


def _samples(settings: FeatureSettings, ms: float) -> int:
    return int(settings.sample_rate_hz * 0.001 * ms)


def _quiet() -> warnings.catch_warnings:
    """Suppress the warning about audio shorter than a transform, which is padded."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)
