"""Whisper's features: its mel filters and the effect of silence after the audio."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.speech.features.whisper import FRAMES, SHIFT, mel_filters, whisper_features


@pytest.mark.parametrize("filters", [80, 128])
def test_the_filters_are_slaneys(filters):
    expected = librosa.filters.mel(sr=16000, n_fft=400, n_mels=filters)
    np.testing.assert_allclose(mel_filters(filters), expected.T, atol=1e-7)


def test_frames_are_named_by_the_sample_in_their_middle():
    clip = np.zeros(16000, np.float32)
    clip[8000] = 1.0
    found = whisper_features(clip, filters=80)
    assert found.shape == (FRAMES, 80)
    assert found.dtype == np.float32
    loudest = np.flatnonzero(found.sum(axis=1) == found.sum(axis=1).max())
    assert loudest.tolist() == [8000 // SHIFT]


def test_nothing_lies_more_than_two_below_the_loudest():
    clip = np.sin(np.arange(16000) * 0.3).astype(np.float32)
    found = whisper_features(clip, filters=80)
    assert found.max() - found.min() == pytest.approx(2.0)


def test_silence_is_the_floor_everywhere():
    assert np.allclose(whisper_features(np.zeros(1600, np.float32), filters=80), -1.5)


@given(st.integers(1, 2000))
def test_only_frames_near_the_sound_hold_anything(count):
    clip = np.random.default_rng(count).normal(scale=0.1, size=count).astype(np.float32)
    found = whisper_features(clip, filters=80, frames=100)
    after = -(-(count + 200) // SHIFT)
    assert (found[after:] == found.min()).all()


def test_what_lies_beyond_the_window_is_left_out():
    clip = np.random.default_rng(0).normal(size=3200).astype(np.float32)
    whole = whisper_features(clip, filters=80, frames=10)
    np.testing.assert_array_equal(whole, whisper_features(clip[:1600], filters=80, frames=10))
