"""Resampling: tones stay, what the new rate cannot carry goes, blocks leave no trace."""

import numpy as np
import pytest

from aitk.speech.features.waveform import Resampler, resampled


def tone(hertz, rate, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize(("before", "after"), [(44100, 16000), (8000, 16000), (48000, 8000)])
def test_a_tone_stays_itself(before, after):
    found = resampled(tone(1000, before), before, after)
    expected = tone(1000, after)
    assert len(found) == pytest.approx(len(expected), abs=1)
    inner = slice(400, -400)
    np.testing.assert_allclose(found[: len(expected)][inner], expected[inner], atol=2e-3)


def test_what_the_new_rate_cannot_carry_is_gone_and_does_not_fold():
    found = resampled(tone(6000, 16000), 16000, 8000)
    assert np.abs(found[200:-200]).max() < 1e-3


def test_the_same_rate_is_the_same_sound():
    samples = tone(100, 8000)
    assert resampled(samples, 8000, 8000) is samples


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_blocks_give_what_the_whole_gives(rate):
    samples = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    resampler = Resampler(16000, rate)
    parts = [resampler.add(samples[at : at + 700]) for at in range(0, 5000, 700)]
    found = np.concatenate([*parts, resampler.finish()])
    np.testing.assert_allclose(found, resampled(samples, 16000, rate), atol=1e-4)
