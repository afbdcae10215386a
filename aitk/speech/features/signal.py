"""Frame features as defined by Kaldi: filterbank, MFCC, PLP, spectrogram.

Agrees with kaldi-native-fbank (dither 0) to 1e-3. Frames of several clips are transformed together,
in blocks that fit the processor's cache. ``librosa_features`` has the features defined by librosa.

"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft
import scipy.sparse

from aitk.core.contract.errors import UsageError
from aitk.speech.data.options import FeatureOptions, FeatureSettings
from aitk.speech.features import librosa_features, plp
from aitk.speech.features.normalise import Moments, moments_of, normalised

#: Kaldi computes on 16-bit integers. Its floor for logarithms, the epsilon of float32, is only
#: meaningful on that scale.
FULL_SCALE = 32768.0
FRAMES_AT_ONCE = 128
_FLOOR = np.float32(np.finfo(np.float32).eps)


def features(
    samples: np.ndarray,
    settings: FeatureSettings,
    *,
    moments: Moments | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Compute the features of one recording.

    Args:
        samples: (n,) in [-1, 1] at ``settings.sample_rate_hz``.
        settings: the features to compute.
        moments: moments of the speaker or corpus, if ``settings.normalise`` needs them; without
            them, features are not normalised, so that moments can be learned from them.
        rng: given in training, for dither.

    Returns:
        (frames, ``feature_size(settings)``) float32; none if the recording is shorter.

    Raises:
        UsageError: the settings are contradictory.
    """
    return features_of_many([samples], settings, moments=[moments], rng=rng)[0]


def features_of_many(
    clips: Sequence[np.ndarray],
    settings: FeatureSettings,
    *,
    moments: Sequence[Moments | None] | None = None,
    rng: np.random.Generator | None = None,
) -> list[np.ndarray]:
    """The features of several recordings, faster than one by one if they are short.

    See ``features``; ``moments`` has one entry per recording.
    """
    if settings.features in librosa_features.KINDS:
        found = [librosa_features.compute(samples, settings) for samples in clips]
    else:
        found = _kaldi_features(clips, settings, rng)
    if settings.pitch:
        found = [
            np.hstack([each, _pitch(samples, settings, frames=len(each))])
            for each, samples in zip(found, clips, strict=True)
        ]
    return finish_features(found, settings, moments=moments)


def _kaldi_features(
    clips: Sequence[np.ndarray], settings: FeatureSettings, rng: np.random.Generator | None
) -> list[np.ndarray]:
    """The unnormalised features of several clips, framed and transformed together."""
    plan = _plan(dataclasses.replace(settings, normalise="none"))
    frames = [frame(np.asarray(samples, np.float32), settings) for samples in clips]
    counts = [len(each) for each in frames]
    whole = np.empty((sum(counts), plan.size), np.float32)
    done = 0
    for piece in _pieces(frames):
        whole[done : done + len(piece)] = plan.compute(piece, rng)
        done += len(piece)
    return np.split(whole, np.cumsum(counts)[:-1]) if counts else []


def _pitch(samples: np.ndarray, settings: FeatureSettings, *, frames: int) -> np.ndarray:
    """Voicing and log pitch of every frame, (frames, 2)."""
    from aitk.speech.features.pitch import pitch

    if settings.pitch_method == "kaldi":
        return pitch(samples, settings, frames=frames)
    length, shift = frame_lengths(settings)
    first = length // 2
    if not settings.snip_edges:
        first = 0 if settings.features in librosa_features.KINDS else shift // 2
    centres = first + shift * np.arange(frames)
    return librosa_features.pyin_pitch(samples, settings, centres=centres)


def finish_features(
    found: Sequence[np.ndarray],
    settings: FeatureSettings,
    *,
    moments: Sequence[Moments | None] | None = None,
) -> list[np.ndarray]:
    """Deltas and normalisation of features (frames, d); see ``features_of_many``."""
    found = [add_deltas(each, order=settings.deltas) for each in found]
    if settings.normalise == "utterance":
        return [normalised(each, moments_of(each)) for each in found]
    if settings.normalise == "none" or moments is None:
        return found
    return [
        each if known is None else normalised(each, known)
        for each, known in zip(found, moments, strict=True)
    ]


def settings_for(options: FeatureOptions, sample_rate_hz: int) -> FeatureSettings:
    """The feature settings in a model's settings, for recordings of this sample rate."""
    names = [field.name for field in dataclasses.fields(FeatureOptions)]
    values = {name: getattr(options, name) for name in names}
    return FeatureSettings(**values, sample_rate_hz=sample_rate_hz)


def feature_size(settings: FeatureSettings) -> int:
    """The number of features per frame."""
    if settings.columns:
        return settings.columns * (1 + settings.deltas)
    if settings.features in librosa_features.KINDS:
        own = librosa_features.size_of(settings)
    else:
        own = _plan(dataclasses.replace(settings, normalise="none")).size
    return (own + (2 if settings.pitch else 0)) * (1 + settings.deltas)


def frame_count(samples: int, settings: FeatureSettings) -> int:
    """The number of frames in a number of samples."""
    length, shift = frame_lengths(settings)
    if settings.snip_edges:
        return 1 + (samples - length) // shift if samples >= length else 0
    if settings.features in librosa_features.KINDS:
        return 1 + samples // shift
    return (samples + shift // 2) // shift


def frames_in(seconds: float, settings: FeatureSettings) -> int:
    """The number of frames in a number of seconds, of audio or of precomputed features."""
    if settings.columns:
        return round(seconds * 1000 / settings.shift_ms)
    return frame_count(round(seconds * settings.sample_rate_hz), settings)


def frame_lengths(settings: FeatureSettings) -> tuple[int, int]:
    """Frame length (for librosa: transform length) and frame shift, in samples."""
    rate = settings.sample_rate_hz
    if settings.features in librosa_features.KINDS:
        return librosa_features.transform_length(settings), int(rate * 0.001 * settings.shift_ms)
    return int(rate * 0.001 * settings.frame_ms), int(rate * 0.001 * settings.shift_ms)


def frame(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Split a recording into overlapping frames, (frames, length): a read-only view."""
    length, shift = frame_lengths(settings)
    if shift < 1 or length < 2:
        raise UsageError(
            "frames of under a sample", hint="Use a larger frame_ms, shift_ms or sample rate"
        )
    count = frame_count(len(samples), settings)
    if count == 0:
        return np.empty((0, length), np.float32)
    if not settings.snip_edges:
        before = length // 2 - shift // 2
        after = max(0, (count - 1) * shift + length - before - len(samples))
        samples = _mirrored(samples, before, after)
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::shift][:count]


def mel_filters(
    filters: int, *, low_hz: float, high_hz: float, sample_rate_hz: int, fft_size: int
) -> np.ndarray:
    """Triangular filters on the mel scale 1127 ln(1 + f/700), (fft_size / 2, filters) float32.

    Unlike in HTK and librosa, they are triangles over mel, not over hertz.

    Raises:
        UsageError: the edges are out of order or above half the sample rate, or a filter is too
            narrow to cover a frequency of the transform.
    """
    nyquist_hz = sample_rate_hz / 2
    top_hz = high_hz if high_hz > 0 else nyquist_hz + high_hz
    if not 0 <= low_hz < top_hz <= nyquist_hz:
        raise UsageError(
            f"filters from {low_hz:g} to {top_hz:g} Hz do not fit a sample rate of"
            f" {sample_rate_hz} Hz",
            hint=f"Keep 0 <= low_hz < high_hz <= {nyquist_hz:g}",
        )
    edges = np.linspace(_mel(low_hz), _mel(top_hz), filters + 2)
    mel = _mel(np.arange(fft_size // 2) * sample_rate_hz / fft_size)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((mel - left) / (centre - left), (right - mel) / (right - centre))
    weights = np.maximum(weights, 0.0)
    if (weights.sum(axis=0) == 0).any():
        raise UsageError(
            f"{filters} filters are too many for frames of {fft_size} samples: some are empty",
            hint="Use fewer filters or longer frames",
        )
    return weights.astype(np.float32)


def dct_matrix(inputs: int, outputs: int) -> np.ndarray:
    """The orthonormal discrete cosine transform of type II, as (inputs, outputs) float32."""
    order = np.arange(outputs)
    matrix = np.sqrt(2 / inputs) * np.cos(
        np.pi / inputs * (np.arange(inputs)[:, None] + 0.5) * order
    )
    matrix[:, 0] = np.sqrt(1 / inputs)
    return matrix.astype(np.float32)


def lifter_weights(coefficients: int, lifter: float) -> np.ndarray:
    """Weights that give cepstral coefficients similar ranges (Juang et al. 1987)."""
    if lifter == 0:
        return np.ones(coefficients, np.float32)
    order = np.arange(coefficients)
    return (1 + 0.5 * lifter * np.sin(np.pi * order / lifter)).astype(np.float32)


def window_of(kind: str, length: int) -> np.ndarray:
    """A window as (length,) float64; Povey's is a Hann window with less steep flanks."""
    turn = 2 * np.pi * np.arange(length) / (length - 1)
    hann = 0.5 - 0.5 * np.cos(turn)
    windows = {
        "povey": hann**0.85,
        "hann": hann,
        "hamming": 0.54 - 0.46 * np.cos(turn),
        "blackman": 0.42 - 0.5 * np.cos(turn) + 0.08 * np.cos(2 * turn),
        "rectangular": np.ones(length),
    }
    return windows[kind]


class _Plan:
    """Everything about a set of settings that is independent of the recording."""

    def __init__(self, settings: FeatureSettings):
        length, _ = frame_lengths(settings)
        self._settings = settings
        self._kind = settings.features
        self._fft_size = 1 << (length - 1).bit_length()
        self._window = window_of(settings.window, length)
        self._energy = settings.energy and self._kind in ("mfcc", "plp")
        self.size = self._fft_size // 2 + 1
        if self._kind in ("fbank", "mfcc"):
            filters = mel_filters(
                settings.filters,
                low_hz=settings.low_hz,
                high_hz=settings.high_hz,
                sample_rate_hz=settings.sample_rate_hz,
                fft_size=self._fft_size,
            )
            self._filters = scipy.sparse.csr_array(np.pad(filters, ((0, 1), (0, 0))).T)
            self.size = settings.filters
        if self._kind in ("mfcc", "plp"):
            self.size = settings.coefficients
            self._lifter = lifter_weights(settings.coefficients, settings.lifter)
        if self._kind == "mfcc":
            if settings.coefficients > settings.filters:
                raise UsageError(
                    f"{settings.coefficients} coefficients from {settings.filters} filters",
                    hint="Use at least as many filters as coefficients",
                )
            cosines = dct_matrix(settings.filters, settings.coefficients) * self._lifter
            self._cosines = scipy.sparse.csr_array(cosines.T)
        if self._kind == "plp":
            self._bands = plp.make_bands(
                sample_rate_hz=settings.sample_rate_hz, fft_size=self._fft_size
            )

    def compute(self, frames: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """(frames, length) in [-1, 1], which is overwritten, to (frames, size)."""
        settings = self._settings
        frames *= FULL_SCALE
        if settings.dither and rng is not None:
            frames += settings.dither * rng.standard_normal(frames.shape, np.float32)
        frames -= frames.mean(axis=1, keepdims=True)
        if self._energy:
            energies = np.einsum("fs,fs->f", frames, frames)
        if settings.preemphasis:
            before = settings.preemphasis * frames
            frames[:, 1:] -= before[:, :-1]
            frames[:, 0] -= before[:, 0]
        # In float32, the transform of a pure tone would drown the weakest filters in rounding
        # errors, with differences of up to 2e-3 from Kaldi.
        spectrum = scipy.fft.rfft(frames * self._window, n=self._fft_size, axis=1)
        power = np.empty(spectrum.shape, np.float32)  # (frames, fft_size / 2 + 1)
        np.add(spectrum.real**2, spectrum.imag**2, out=power, casting="same_kind")
        if self._kind == "spectrogram":
            return np.log(np.maximum(power, _FLOOR))
        if self._kind == "plp":
            found = plp.cepstra(
                power,
                self._bands,
                order=settings.lpc_order,
                coefficients=settings.coefficients,
            )
            found *= self._lifter
        else:
            # Sparse products run on the caller's thread. BLAS would spread this little work over
            # all processors, and take ten times as long when they are busy.
            logs = np.log(np.maximum(self._filters @ power.T, _FLOOR))  # (filters, frames)
            found = (self._cosines @ logs if self._kind == "mfcc" else logs).T
        if self._energy:
            found[:, 0] = np.log(np.maximum(energies, _FLOOR))
        return found


_plan = functools.lru_cache(maxsize=32)(_Plan)


def _pieces(frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Copies of the frames, in order, in blocks that fit the cache."""
    waiting: list[np.ndarray] = []
    held = 0
    for each in frames:
        start = 0
        while start < len(each):
            taken = each[start : start + FRAMES_AT_ONCE - held]
            waiting.append(taken)
            start, held = start + len(taken), held + len(taken)
            if held == FRAMES_AT_ONCE:
                yield np.concatenate(waiting)
                waiting, held = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _mirrored(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """The recording with its ends mirrored as often as needed."""
    index = np.arange(-before, len(samples) + after) % (2 * len(samples))
    return samples[np.where(index < len(samples), index, 2 * len(samples) - 1 - index)]


def _mel(hertz: float | np.ndarray) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def add_deltas(features: np.ndarray, *, order: int, reach: int = 2) -> np.ndarray:
    """Append the first ``order`` derivatives to features (frames, d).

    A derivative is the slope of a line through ``reach`` frames on either side; the end frames are
    repeated. Higher orders convolve the filter with itself first, as in Kaldi's ``add-deltas``, so
    that the ends are repeated only once.

    Returns:
        (frames, d * (order + 1)), of the same type.
    """
    if order == 0 or len(features) == 0:
        return np.tile(features, (1, order + 1)) if order else features
    slope = np.arange(-reach, reach + 1) / np.sum(np.arange(-reach, reach + 1) ** 2)
    parts, weights = [features], np.ones(1)
    for _ in range(order):
        weights = np.convolve(weights, slope)
        width = len(weights) // 2
        padded = np.pad(features, ((width, width), (0, 0)), mode="edge")
        parts.append(
            sum(
                weight * padded[at : at + len(features)]
                for at, weight in enumerate(weights.astype(features.dtype))
                if weight
            )
        )
    return np.hstack(parts)
