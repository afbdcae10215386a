"""Waveforms: their level, and other sample rates by the SoX resampler (linear phase, HQ)."""

from __future__ import annotations

import numpy as np

QUALITY = "HQ"  # of soxr
#: Below the step of 16 bits (-96 dBFS) there is only digital silence.
SILENCE_DBFS = -120.0
FRAME_S, SHIFT_S = 0.025, 0.010


def level_dbfs(samples: np.ndarray) -> float:
    """The root mean square of samples (n,), in decibels below a square wave at full scale."""
    if not len(samples):
        return SILENCE_DBFS
    power = float(np.dot(samples, samples)) / len(samples)
    return max(SILENCE_DBFS, 10 * np.log10(max(power, 1e-30)))


def frame_levels_dbfs(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The level of every 25 ms, each 10 ms: (frames,) float32; a shorter recording is one frame."""
    length = max(1, round(FRAME_S * sample_rate_hz))
    shift = max(1, round(SHIFT_S * sample_rate_hz))
    if len(samples) < length:
        return np.array([level_dbfs(samples)], np.float32)
    # Sums of squares over windows, from differences of a running sum.
    running = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    power = (running[length::shift] - running[:-length:shift]) / length
    return np.maximum(10 * np.log10(np.maximum(power, 1e-30)), SILENCE_DBFS).astype(np.float32)


def remove_dc(samples: np.ndarray) -> np.ndarray:
    """Samples (n,) with mean 0."""
    return samples - samples.mean(dtype=np.float64).astype(np.float32)


def at_loudness(samples: np.ndarray, loudness_dbfs: float) -> np.ndarray:
    """Samples (n,) scaled to an RMS level, or as near to it as goes without clipping."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0:
        return samples
    gain = 10 ** ((loudness_dbfs - level_dbfs(samples)) / 20)
    return (samples * np.float32(min(gain, 0.99 / peak))).astype(np.float32)


def signal_to_noise_db(samples: np.ndarray, sample_rate_hz: int) -> float | None:
    """A guess of the signal-to-noise ratio from the levels of frames alone.

    The quietest tenth of the frames is taken for noise, the louder half for speech over it. A
    recording without pauses has none to be measured, and its ratio is guessed too low; None below
    20 frames, and where the quiet parts are digital silence.
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
    """A recording (n,) at another rate, (about n * to_hz / from_hz,) float32."""
    samples = np.asarray(samples, np.float32)
    if from_hz == to_hz:
        return samples
    import soxr

    return soxr.resample(samples, from_hz, to_hz, quality=QUALITY)


class Resampler:
    """Resamples a recording that comes in blocks; the blocks' borders leave no trace."""

    def __init__(self, from_hz: int, to_hz: int):
        self._stream = None
        if from_hz != to_hz:
            import soxr

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=QUALITY)

    def add(self, block: np.ndarray) -> np.ndarray:
        """What is ready after one more block (n,); it may be nothing yet."""
        if self._stream is None:
            return block
        return self._stream.resample_chunk(np.ascontiguousarray(block, np.float32))

    def finish(self) -> np.ndarray:
        """What was still held back."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        return self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
