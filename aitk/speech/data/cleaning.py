"""Cleaning of recordings by the reading options, identical at every stage.

The order of the steps is fixed: mean, noise, harmonic or percussive component, silence at the
ends, loudness.
"""

from __future__ import annotations

import numpy as np

from aitk.core.contract.errors import DataError
from aitk.speech.data.audio import Clip
from aitk.speech.data.options import AudioReading, FeatureSettings
from aitk.speech.features.denoising import reduce_noise
from aitk.speech.features.librosa_features import separate
from aitk.speech.features.pitch import pitch
from aitk.speech.features.signal import frame_count
from aitk.speech.features.voice_activity import speech_bounds
from aitk.speech.features.waveform import at_loudness, frame_levels_dbfs, remove_dc

#: Minimum normalised cross-correlation of a voiced frame (Talkin 1995).
VOICED = 0.7


def clean(clip: Clip, reading: AudioReading) -> tuple[np.ndarray, float]:
    """Clean the samples of a recording by the reading options.

    Returns:
        The samples (n,) float32, and the seconds trimmed off the start.

    Raises:
        DataError: it is too short, silent, without voice, or too much of it is clipped.
    """
    rate = clip.sample_rate_hz
    samples = clip.samples
    if clip.seconds < reading.min_seconds:
        raise DataError(
            f"lasts {clip.seconds:.3f} s, below the minimum of {reading.min_seconds:g} s"
            " (--min-seconds)"
        )
    if clip.clipped > reading.max_clipped:
        raise DataError(
            f"{clip.clipped:.1%} of it is clipped, more than {reading.max_clipped:.1%}"
            " (--max-clipped)"
        )
    loudest = loudest_dbfs(clip)
    if loudest < reading.min_level_dbfs:
        raise DataError(
            f"is silent: its loudest 25 ms have {loudest:.0f} dBFS,"
            f" below {reading.min_level_dbfs:g} (--min-level-dbfs)"
        )
    if reading.min_voiced > 0 and (share := voiced_share(samples, rate)) < reading.min_voiced:
        raise DataError(
            f"contains no voice: {share:.0%} of it is voiced, below {reading.min_voiced:.0%}"
            " (--min-voiced)"
        )
    if reading.remove_dc:
        samples = remove_dc(samples)
    samples = reduce_noise(samples, rate, reduce_db=reading.reduce_noise_db)
    if reading.component != "all":
        samples = separate(samples, reading.component)
    first = 0
    if reading.trim_silence:
        first, last = speech_bounds(samples, rate)
        samples = samples[first:last]
    if reading.loudness_dbfs is not None:
        samples = at_loudness(samples, reading.loudness_dbfs)
    return samples, first / rate


def voiced_share(samples: np.ndarray, sample_rate_hz: int) -> float:
    """The share of frames that are periodic at the pitch of a voice.

    Noise correlates with itself only by chance, and silence not at all.
    """
    settings = FeatureSettings(sample_rate_hz=sample_rate_hz)
    frames = frame_count(len(samples), settings)
    if not frames:
        return 0.0
    return float((pitch(samples, settings, frames=frames)[:, 0] > VOICED).mean())


def loudest_dbfs(clip: Clip) -> float:
    """The level of the loudest 25 ms of a recording, without DC offset."""
    return float(frame_levels_dbfs(remove_dc(clip.samples), clip.sample_rate_hz).max())
