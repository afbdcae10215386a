"""Waveforms: levels, and resampling with SoX (linear phase, HQ)."""

from __future__ import annotations

import numpy as np

QUALITY = "HQ"  # quality preset of soxr
#: Levels below the 16-bit step (-96 dBFS) are digital silence.
SILENCE_DBFS = -120.0
FRAME_S, SHIFT_S = 0.025, 0.010


def level_dbfs(samples: np.ndarray) -> float:
    """Root mean square of samples (n,), in dB relative to a full-scale square wave."""
    if not len(samples):
        return SILENCE_DBFS
    power = float(np.dot(samples, samples)) / len(samples)
    return max(SILENCE_DBFS, 10 * np.log10(max(power, 1e-30)))


def frame_levels_dbfs(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The level of each 25 ms window, every 10 ms: (frames,) float32; short audio is one frame."""
    length = max(1, round(FRAME_S * sample_rate_hz))
    shift = max(1, round(SHIFT_S * sample_rate_hz))
    if len(samples) < length:
        return np.array([level_dbfs(samples)], np.float32)
    # Window sums of squares as differences of a cumulative sum.
    running = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    power = (running[length::shift] - running[:-length:shift]) / length
    return np.maximum(10 * np.log10(np.maximum(power, 1e-30)), SILENCE_DBFS).astype(np.float32)


def remove_dc(samples: np.ndarray) -> np.ndarray:
    """Samples (n,) with mean 0."""
    return samples - samples.mean(dtype=np.float64).astype(np.float32)


def at_loudness(samples: np.ndarray, loudness_dbfs: float) -> np.ndarray:
    """Scale samples (n,) to an RMS level, or as close as possible without clipping."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0:
        return samples
    gain = 10 ** ((loudness_dbfs - level_dbfs(samples)) / 20)
    return (samples * np.float32(min(gain, 0.99 / peak))).astype(np.float32)


def signal_to_noise_db(samples: np.ndarray, sample_rate_hz: int) -> float | None:
    """Estimate the signal-to-noise ratio from frame levels alone.

    The quietest tenth of the frames is regarded as noise, the louder half as speech plus noise. For
    a recording without pauses, the ratio is underestimated. None for under 20 frames, and if the
    quiet parts are digital silence.
    """
    levels = frame_levels_dbfs(samples, sample_rate_hz)
    if len(levels) < 20:
        return None
    power = np.sort(10 ** (levels.astype(np.float64) / 10))
    noise = power[: len(power) // 10].mean()
    if 10 * np.log10(noise) < -95:
        return None
    speech = power[len(power) // 2 :].mean() - noise
    return float(10 * np.log10(max(speech / noise, 1e-3)))


def resampled(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample a recording (n,) to (about n * to_hz / from_hz,) float32."""
    samples = np.asarray(samples, np.float32)
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(samples, from_hz, to_hz, quality=QUALITY)


class Resampler:
    """Resamples a recording block by block, without artefacts at block boundaries."""

    def __init__(self, from_hz: int, to_hz: int):
        self._stream = None
        if from_hz != to_hz:
            import soxr

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=QUALITY)

    def add(self, block: np.ndarray) -> np.ndarray:
        """Add a block (n,); return the samples that are ready, possibly none."""
        if self._stream is None:
            return block
        return self._stream.resample_chunk(np.ascontiguousarray(block, np.float32))

    def finish(self) -> np.ndarray:
        """Return the remaining samples."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        return self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
