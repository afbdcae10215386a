"""Pitch: that of a voice which is known, and voicing apart from noise."""

import numpy as np
import pytest

from aitk.speech.data.options import FeatureSettings
from aitk.speech.features.pitch import pitch
from aitk.speech.features.signal import frame_count


def voice(hertz, rate):
    """Harmonics of a pitch that changes, (n,)."""
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    harmonics = sum(np.sin(n * phase) / n for n in range(1, 12))
    noise = np.random.default_rng(0).standard_normal(len(hertz))
    return (0.1 * harmonics + 0.003 * noise).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_follows_a_gliding_voice(rate):
    time = np.arange(rate) / rate
    hertz = 130 + 60 * np.sin(2 * np.pi * 0.7 * time)
    settings = FeatureSettings(sample_rate_hz=rate)
    frames = frame_count(rate, settings)
    found = pitch(voice(hertz, rate), settings, frames=frames)
    true = hertz[np.arange(frames) * rate // 100 + rate // 80]
    error = np.abs(np.exp(found[:, 1]) / true - 1)
    assert np.median(error) < 0.01
    assert error.max() < 0.05
    assert found[:-1, 0].min() > 0.9  # the last frame's lags reach beyond the sound


def test_noise_and_silence_are_not_voiced():
    settings = FeatureSettings()
    noise = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)
    frames = frame_count(8000, settings)
    assert np.median(pitch(noise, settings, frames=frames)[:, 0]) < 0.6
    silence = pitch(np.zeros(8000, np.float32), settings, frames=frames)
    np.testing.assert_allclose(silence[:, 0], 0, atol=1e-6)
    assert np.isfinite(silence).all()
    assert pitch(noise, settings, frames=0).shape == (0, 2)
