"""Levels, pauses, noise, and cleaning by the options."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import DataError
from aitk.speech.data.audio import Clip
from aitk.speech.data.cleaning import clean
from aitk.speech.data.options import AudioReading
from aitk.speech.features.denoising import reduce_noise
from aitk.speech.features.voice_activity import cut_at_pauses, find_speech, speech_bounds
from aitk.speech.features.waveform import (
    at_loudness,
    frame_levels_dbfs,
    level_dbfs,
    remove_dc,
    signal_to_noise_db,
)

RATE = 8000


def speech(seconds, level=0.3):
    """A tone that swells and ebbs three times a second, as syllables do."""
    time = np.arange(round(seconds * RATE)) / RATE
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)
    return (level * swell * np.sin(2 * np.pi * 300 * time)).astype(np.float32)


def silence(seconds, level=0.001, seed=0):
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (level * noise).astype(np.float32)


def clip(samples, clipped=0.0):
    return Clip(samples, RATE, RATE, 1, clipped)


def test_levels_are_decibels_below_full_scale():
    assert level_dbfs(np.ones(100)) == pytest.approx(0)
    assert level_dbfs(np.full(100, 0.1)) == pytest.approx(-20)
    assert level_dbfs(np.zeros(100)) == level_dbfs(np.zeros(0)) == -120
    levels = frame_levels_dbfs(np.concatenate([np.zeros(800), np.full(800, 0.1)]), RATE)
    assert (levels[:7] == -120).all()
    np.testing.assert_allclose(levels[10:], -20, atol=1e-4)


def test_loudness_is_reached_unless_it_would_clip():
    assert level_dbfs(at_loudness(speech(1, 0.01), -23.0)) == pytest.approx(-23, abs=0.01)
    click = np.zeros(1000, np.float32)
    click[500] = 0.5
    assert np.abs(at_loudness(click, -10.0)).max() == pytest.approx(0.99)
    np.testing.assert_array_equal(at_loudness(np.zeros(10, np.float32), -23.0), 0)


def test_the_mean_is_removed():
    assert remove_dc(speech(1) + np.float32(0.2)).mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("ratio", [10, 20, 30])
def test_signal_to_noise_is_guessed_where_there_are_pauses(ratio):
    voice = np.concatenate([speech(1), np.zeros(RATE // 2, np.float32)])
    power = np.mean(speech(1) ** 2)
    noise = silence(1.5, np.sqrt(power / 10 ** (ratio / 10)))
    assert signal_to_noise_db(voice + noise, RATE) == pytest.approx(ratio, abs=3)


def test_no_ratio_of_short_or_digitally_silent_sounds():
    assert signal_to_noise_db(speech(0.1), RATE) is None
    assert signal_to_noise_db(np.concatenate([np.zeros(RATE), speech(1)]), RATE) is None


def test_speech_is_found_between_silences():
    samples = np.concatenate([silence(1), speech(1), silence(1)])
    found = find_speech(samples, RATE)
    assert not found[:95].any()
    assert found[102:195].all()
    assert not found[205:].any()


def test_trimming_leaves_a_margin_and_inner_pauses():
    samples = np.concatenate([silence(1), speech(0.6), silence(0.4), speech(0.6), silence(1)])
    first, last = speech_bounds(samples, RATE)
    assert (first / RATE, last / RATE) == pytest.approx((0.9, 2.7), abs=0.03)
    assert speech_bounds(speech(1), RATE) == (0, RATE)
    assert speech_bounds(silence(1), RATE) == (0, RATE)  # nothing to tell apart: nothing is cut


def test_long_sounds_are_cut_in_the_middle_of_their_pauses():
    parts = [speech(1.5), silence(0.5), speech(1.8), silence(0.6), speech(1)]
    pieces = list(cut_at_pauses(iter(parts), RATE, max_s=2.5))
    starts = [start for start, _ in pieces]
    assert starts == pytest.approx([0, 1.75, 4.025], abs=0.05)
    np.testing.assert_array_equal(np.concatenate([p for _, p in pieces]), np.concatenate(parts))


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=8), st.floats(0.1, 0.5))
def test_pieces_are_the_whole_sound_and_never_too_long(blocks, max_s):
    samples = silence(sum(blocks) / 1000, seed=len(blocks))[: sum(blocks)]
    parts = np.split(samples, np.cumsum(blocks)[:-1])
    pieces = list(cut_at_pauses(iter(parts), 1000, max_s=max_s))
    np.testing.assert_array_equal(np.concatenate([p for _, p in pieces]), samples)
    assert max(len(p) for _, p in pieces) <= round(max_s * 1000)
    assert [round(start * 1000) for start, _ in pieces] == list(
        np.cumsum([0, *[len(p) for _, p in pieces]])[:-1]
    )


def test_steady_noise_is_weakened_and_speech_stays():
    voice = np.concatenate([np.zeros(RATE, np.float32), speech(1), np.zeros(RATE, np.float32)])
    noisy = voice + silence(3, 0.02)
    cleaned = reduce_noise(noisy, RATE, reduce_db=20)
    quiet, loud = slice(1000, 7000), slice(9000, 15000)
    assert level_dbfs(cleaned[quiet]) < level_dbfs(noisy[quiet]) - 12
    assert level_dbfs(cleaned[loud]) == pytest.approx(level_dbfs(voice[loud]), abs=0.3)
    error = cleaned[loud] - voice[loud]
    assert level_dbfs(error) < level_dbfs((noisy - voice)[loud]) - 3


@given(st.integers(0, 3000))
def test_a_gate_that_is_open_changes_nothing(length):
    samples = silence(3000 / RATE, 0.1)[:length]
    np.testing.assert_array_equal(reduce_noise(samples, RATE, reduce_db=0), samples)
    nearly = reduce_noise(samples, RATE, reduce_db=1e-6)
    assert nearly.shape == samples.shape
    np.testing.assert_allclose(nearly, samples, atol=1e-5)


def test_nothing_is_done_that_was_not_requested():
    samples = speech(1) + np.float32(0.1)
    found, cut_s = clean(clip(samples), AudioReading())
    np.testing.assert_array_equal(found, samples)
    assert cut_s == 0


def test_everything_that_was_requested_is_done():
    samples = np.concatenate([silence(1), speech(1), silence(1)]) * 0.5 + 0.1
    reading = AudioReading(
        remove_dc=True, trim_silence=True, reduce_noise_db=12.0, loudness_dbfs=-23.0
    )
    found, cut_s = clean(clip(samples.astype(np.float32)), reading)
    assert cut_s == pytest.approx(0.9, abs=0.03)
    assert len(found) / RATE == pytest.approx(1.2, abs=0.05)
    assert level_dbfs(found) == pytest.approx(-23, abs=0.1)
    assert found.mean() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (clip(speech(0.01)), {}, "lasts 0.010 s, below the minimum of 0.05 s"),
        (clip(np.zeros(RATE, np.float32)), {}, "is silent: its loudest 25 ms have -120 dBFS"),
        (clip(np.full(RATE, 0.5, np.float32)), {}, "is silent"),
        (clip(silence(1, 1e-5)), {}, "below -70"),
        (clip(speech(1), clipped=0.2), {"max_clipped": 0.1}, "20.0% of it is clipped"),
    ],
)
def test_what_cannot_be_used_is_refused(given, options, words):
    with pytest.raises(DataError, match=words):
        clean(given, AudioReading(**options))
