"""Augmentation of recordings and features, drawn from a NumPy generator."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import scipy.signal

from aitk.speech.data.options import AugmentOptions
from aitk.speech.features.waveform import level_dbfs, resampled


def augment_audio(
    samples: np.ndarray,
    sample_rate_hz: int,
    options: AugmentOptions,
    *,
    rng: np.random.Generator,
    noises: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Augment one recording by the options: speed, cuts, shift, room, noise, gain.

    Args:
        samples: (n,) in [-1, 1].
        noises: recordings (m,) at the same rate to add; without any, coloured noise is generated.

    Returns:
        (m,) float32 in [-1, 1]; the length changes only with speed or cuts.
    """
    if options.speeds:
        samples = at_speed(samples, float(rng.choice(options.speeds)))
    if options.max_start_crop or options.max_end_crop:
        samples = cut(
            samples, start_most=options.max_start_crop, end_most=options.max_end_crop, rng=rng
        )
    if options.max_shift_ms:
        most = round(options.max_shift_ms * sample_rate_hz / 1000)
        samples = shifted(samples, int(rng.integers(-most, most + 1)))
    if options.reverberation_share and rng.random() < options.reverberation_share:
        samples = in_room(samples, sample_rate_hz, decay_s=float(rng.uniform(0.1, 0.6)), rng=rng)
    if options.noise_share and rng.random() < options.noise_share:
        ratio_db = float(rng.uniform(options.min_snr_db, options.max_snr_db))
        if noises:
            noise = cut_noise(noises[int(rng.integers(len(noises)))], len(samples), rng=rng)
        else:
            noise = coloured_noise(len(samples), slope=float(rng.uniform(0.0, 2.0)), rng=rng)
        samples = with_noise(samples, noise, ratio_db=ratio_db)
    if options.max_gain_db:
        gain_db = rng.uniform(-options.max_gain_db, options.max_gain_db)
        samples = samples * np.float32(10 ** (gain_db / 20))
    return np.clip(samples, -1.0, 1.0)


def warp_features(
    features: np.ndarray, options: AugmentOptions, *, rng: np.random.Generator
) -> np.ndarray:
    """Time stretching and vocal tract length perturbation (VTLP, Jaitly and Hinton 2013).

    Both factors are log-uniform, and features are interpolated.

    Args:
        features: (frames, d), with filters from low to high if VTLP is used.

    Returns:
        (other frames, d) float32.
    """
    if options.max_tempo_change and len(features) > 1:
        frames = max(1, round(len(features) * _factor(options.max_tempo_change, rng)))
        features = _interpolated(features, np.linspace(0, len(features) - 1, frames))
    if options.max_vtlp:
        places = np.arange(features.shape[1]) * _factor(options.max_vtlp, rng)
        features = _interpolated(features.T, np.minimum(places, features.shape[1] - 1)).T
    return np.ascontiguousarray(features, np.float32)


def mask_features(
    features: np.ndarray, options: AugmentOptions, *, rng: np.random.Generator
) -> np.ndarray:
    """SpecAugment (Park et al. 2019, section 2) without time warping, which hardly helps there.

    Args:
        features: (frames, d); masked values become the mean of each feature.

    Returns:
        A copy, (frames, d).
    """
    frames, size = features.shape
    hidden = features.copy()
    if not frames:
        return hidden
    mean = features.mean(axis=0)
    for _ in range(options.time_masks):
        width = int(rng.integers(0, int(options.time_mask_share * frames) + 1))
        start = int(rng.integers(0, frames - width + 1))
        hidden[start : start + width] = mean
    for _ in range(options.frequency_masks):
        width = int(rng.integers(0, int(options.frequency_mask_share * size) + 1))
        start = int(rng.integers(0, size - width + 1))
        hidden[:, start : start + width] = mean[start : start + width]
    return hidden


def _factor(most: float, rng: np.random.Generator) -> float:
    """A factor between 1 / (1 + most) and 1 + most."""
    return float((1 + most) ** rng.uniform(-1, 1))


def _interpolated(lines: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Interpolate rows (n, d) at fractional positions: (places, d)."""
    low = np.minimum(places.astype(int), len(lines) - 1)
    high = np.minimum(low + 1, len(lines) - 1)
    share = (places - low)[:, None]
    return lines[low] * (1 - share) + lines[high] * share


def at_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """Play a recording (n,) at another speed and pitch (Ko et al. 2015): (n / speed,)."""
    ratio = Fraction(speed).limit_denominator(100)
    return resampled(samples, ratio.numerator, ratio.denominator)


def cut(
    samples: np.ndarray, *, start_most: float, end_most: float, rng: np.random.Generator
) -> np.ndarray:
    """Crop samples (n,) or features (n, d) by up to these shares at their ends.

    Each end is cropped with probability 1/2, the end relative to what remains after the start.
    Recordings that begin late or end early lack weak phones: "six" becomes "si", "three" "ree". A
    model confuses such words with others unless it is trained on some.
    """
    if rng.random() < 0.5:
        samples = samples[int(len(samples) * start_most * rng.random()) :]
    if rng.random() < 0.5:
        samples = samples[: len(samples) - int(len(samples) * end_most * rng.random())]
    return samples


def shifted(samples: np.ndarray, by: int) -> np.ndarray:
    """Shift a recording (n,) by a number of samples, filling the gap with silence."""
    moved = np.zeros_like(samples)
    if by >= 0:
        moved[by:] = samples[: len(samples) - by]
    else:
        moved[:by] = samples[-by:]
    return moved


def with_noise(samples: np.ndarray, noise: np.ndarray, *, ratio_db: float) -> np.ndarray:
    """Add noise (n,) to a recording (n,) at an overall signal-to-noise ratio.

    If the sum would clip, both are attenuated.
    """
    gain = 10 ** ((level_dbfs(samples) - ratio_db - level_dbfs(noise)) / 20)
    mixed = samples + noise * np.float32(gain)
    return mixed / np.float32(max(1.0, float(np.abs(mixed).max(initial=0.0))))


def coloured_noise(count: int, *, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (count,) whose power falls as 1 / f^slope: 0 is white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    places = np.maximum(np.arange(len(spectrum)), 1)
    noise = np.fft.irfft(spectrum * places ** (-slope / 2), n=count)
    return (0.1 * noise / max(float(noise.std()), 1e-12)).astype(np.float32)


def cut_noise(noise: np.ndarray, count: int, *, rng: np.random.Generator) -> np.ndarray:
    """``count`` samples from a random position in a recording (m,), repeated if too short."""
    start = int(rng.integers(0, len(noise)))
    return np.take(noise, np.arange(start, start + count), mode="wrap")


def in_room(
    samples: np.ndarray, sample_rate_hz: int, *, decay_s: float, rng: np.random.Generator
) -> np.ndarray:
    """A recording (n,) with the reverberation of a room, at its original level.

    The room is noise that decays by 60 dB within ``decay_s`` after the direct sound (Polack's
    statistical model, as in Moorer 1979), in total 3 to 12 dB weaker than the direct sound.
    """
    count = max(2, round(decay_s * sample_rate_hz))
    tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[: round(0.002 * sample_rate_hz)] = 0  # the first reflection comes 0.7 m later
    energy = float(np.dot(tail, tail))
    ratio_db = rng.uniform(3.0, 12.0)
    room = tail * np.sqrt(10 ** (-ratio_db / 10) / max(energy, 1e-12))
    room[0] = 1.0
    reverberant = scipy.signal.fftconvolve(samples, room)[: len(samples)]
    gain = 10 ** ((level_dbfs(samples) - level_dbfs(reverberant)) / 20)
    return (reverberant * gain).astype(np.float32)
