"""Augmentations: each has its documented effect, and is repeatable with a generator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.speech.data.options import AugmentOptions
from aitk.speech.features.augment import (
    at_speed,
    augment_audio,
    coloured_noise,
    cut,
    cut_noise,
    in_room,
    mask_features,
    shifted,
    warp_features,
    with_noise,
)
from aitk.speech.features.waveform import level_dbfs

NOTHING = AugmentOptions(time_masks=0, frequency_masks=0)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_no_options_change_nothing(voice):
    np.testing.assert_array_equal(augment_audio(voice(), 8000, NOTHING, rng=rng()), voice())
    features = rng().standard_normal((30, 8)).astype(np.float32)
    np.testing.assert_array_equal(mask_features(features, NOTHING, rng=rng()), features)


@pytest.mark.parametrize(
    "asked",
    [
        {"speeds": [0.9, 1.1]},
        {"max_start_crop": 0.5, "max_end_crop": 0.5},
        {"noise_share": 1.0},
        {"reverberation_share": 1.0},
        {"max_shift_ms": 50.0},
        {"max_gain_db": 12.0},
    ],
)
def test_the_same_generator_gives_the_same_variation_and_others_differ(voice, asked):
    options = AugmentOptions(**asked)
    first, again, other = (
        augment_audio(voice(level=0.9), 8000, options, rng=rng(seed)) for seed in (1, 1, 3)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1


@given(frames=st.integers(0, 40), size=st.integers(1, 20), seed=st.integers(0, 99))
def test_masks_hide_no_more_than_their_share(frames, size, seed):
    options = AugmentOptions(
        time_masks=1, time_mask_share=0.3, frequency_masks=1, frequency_mask_share=0.5
    )
    features = rng(seed).standard_normal((frames, size)).astype(np.float32)
    found = mask_features(features, options, rng=rng(seed))
    changed = found != features
    rows = changed.all(axis=1).sum() if size > 1 else 0
    assert rows <= 0.3 * frames or changed.all()
    assert found.shape == features.shape
    if frames:
        np.testing.assert_allclose(
            found[changed], np.broadcast_to(features.mean(axis=0), found.shape)[changed]
        )


def test_masks_hide_bands_and_stretches():
    options = AugmentOptions(time_masks=2, frequency_masks=2)
    features = np.ones((100, 40), np.float32) * np.arange(100, dtype=np.float32)[:, None]
    found = mask_features(features, options, rng=rng(3))
    assert (found != features).any()
    np.testing.assert_array_equal(features[:, 0], np.arange(100))


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.1, 1.25])
def test_speed_moves_tempo_and_pitch(speed):
    tone = np.sin(2 * np.pi * 400 * np.arange(8000) / 8000).astype(np.float32)
    found = at_speed(tone, speed)
    assert len(found) == pytest.approx(8000 / speed, abs=2)
    peak = np.argmax(np.abs(np.fft.rfft(found))) * 8000 / len(found)
    assert peak == pytest.approx(400 * speed, abs=2)


def test_cuts_take_no_more_than_their_shares_and_leave_every_second_end():
    samples = np.arange(100, dtype=np.float32)
    found = [cut(samples, start_most=0.2, end_most=0.3, rng=rng(seed)) for seed in range(200)]
    first, last = np.array([(each[0], each[-1]) for each in found]).T
    assert 15 <= first.max() < 20
    assert 70 <= last.min() <= 76
    assert 70 < (first == 0).sum() < 130
    assert 70 < (last == 99).sum() < 130


def test_shifts_leave_silence_behind():
    samples = np.arange(1, 6, dtype=np.float32)
    np.testing.assert_array_equal(shifted(samples, 2), [0, 0, 1, 2, 3])
    np.testing.assert_array_equal(shifted(samples, -2), [3, 4, 5, 0, 0])
    np.testing.assert_array_equal(shifted(samples, 0), samples)


@pytest.mark.parametrize("ratio", [-5.0, 0.0, 20.0])
def test_noise_is_added_at_its_ratio(voice, ratio):
    noise = coloured_noise(4000, slope=0.0, rng=rng())
    mixed = with_noise(voice(level=0.05), noise, ratio_db=ratio)
    added = mixed - voice(level=0.05)
    assert level_dbfs(voice(level=0.05)) - level_dbfs(added) == pytest.approx(ratio, abs=0.1)
    assert np.abs(with_noise(voice(level=0.9), noise, ratio_db=-10.0)).max() <= 1


def test_coloured_noise_falls_with_frequency():
    for slope in (0.0, 1.0, 2.0):
        power = np.abs(np.fft.rfft(coloured_noise(1 << 15, slope=slope, rng=rng()))) ** 2
        low, high = power[100:200].mean(), power[10000:12000].mean()
        expected = slope * 10 * np.log10(11000 / 145)
        assert 10 * np.log10(low / high) == pytest.approx(expected, abs=1.5)


def test_recorded_noise_is_cut_anywhere_and_repeated_where_short(voice):
    noise = np.arange(10, dtype=np.float32)
    found = cut_noise(noise, 25, rng=rng())
    assert len(found) == 25
    np.testing.assert_array_equal(np.diff(found) % 10, 1)
    options = AugmentOptions(noise_share=1.0)
    mixed = augment_audio(voice(), 8000, options, rng=rng(), noises=[noise - 4.5])
    assert (mixed != voice()).any()


def test_a_room_lengthens_and_keeps_the_level(voice):
    click = np.zeros(8000, np.float32)
    click[1000] = 0.5
    heard = in_room(click, 8000, decay_s=0.4, rng=rng())
    assert level_dbfs(heard) == pytest.approx(level_dbfs(click), abs=0.1)
    np.testing.assert_allclose(heard[:1000], 0, atol=1e-6)
    early, late = heard[1100:1400], heard[3600:3900]
    assert level_dbfs(early) - level_dbfs(late) == pytest.approx(60 * 2500 / 3200, abs=5)
    assert len(in_room(voice(), 8000, decay_s=0.4, rng=rng())) == len(voice())


def test_tempo_changes_the_length_and_not_the_ends():
    features = np.linspace(0, 1, 50)[:, None].repeat(3, axis=1).astype("float32")
    options = AugmentOptions(max_tempo_change=0.5)
    lengths = set()
    for seed in range(20):
        warped = warp_features(features, options, rng=np.random.default_rng(seed))
        assert warped[0, 0] == 0 and warped[-1, 0] == pytest.approx(1)
        assert np.all(np.diff(warped[:, 0]) > 0)
        lengths.add(len(warped))
    assert 33 <= min(lengths) < 45 < 55 < max(lengths) <= 75


def test_another_vocal_tract_moves_a_peak_between_filters():
    features = np.zeros((4, 40), "float32")
    features[:, 20] = 1
    options = AugmentOptions(max_vtlp=0.2)
    peaks = [
        int(warp_features(features, options, rng=np.random.default_rng(seed))[0].argmax())
        for seed in range(30)
    ]
    assert 16 <= min(peaks) < 19 < 21 < max(peaks) <= 25


def test_nothing_is_warped_by_default():
    features = np.ones((5, 4), "float32")
    same = warp_features(features, AugmentOptions(), rng=np.random.default_rng(0))
    assert np.array_equal(same, features)
