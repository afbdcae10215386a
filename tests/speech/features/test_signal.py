"""Features: Kaldi's numbers, and properties that hold for all audio."""

import kaldi_native_fbank as kaldi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aitk.core.contract.errors import UsageError
from aitk.speech.data.options import FeatureOptions, FeatureSettings
from aitk.speech.features.normalise import moments_of, total
from aitk.speech.features.signal import (
    add_deltas,
    feature_size,
    features,
    features_of_many,
    frame_count,
    mel_filters,
    settings_for,
)


@pytest.fixture(scope="module")
def clip():
    """A second at 16 kHz: a chirp in noise, and in it a stretch of digital silence."""
    rng = np.random.default_rng(1)
    time = np.arange(16000) / 16000
    samples = 0.3 * np.sin(2 * np.pi * (200 + 1500 * time) * time)
    samples += 0.01 * rng.standard_normal(len(time))
    samples[6000:8000] = 0
    return samples.astype(np.float32)


def by_kaldi(samples, settings):
    """The output of kaldi-native-fbank for the same settings."""
    kind = settings.features
    options = kaldi.FbankOptions() if kind == "fbank" else kaldi.MfccOptions()
    frames = options.frame_opts
    frames.dither, frames.samp_freq = 0, settings.sample_rate_hz
    frames.window_type = {"hann": "hanning"}.get(settings.window, settings.window)
    frames.snip_edges = settings.snip_edges
    frames.preemph_coeff = settings.preemphasis
    frames.frame_length_ms, frames.frame_shift_ms = settings.frame_ms, settings.shift_ms
    options.mel_opts.num_bins = settings.filters
    options.mel_opts.low_freq, options.mel_opts.high_freq = settings.low_hz, settings.high_hz
    if kind == "mfcc":
        options.num_ceps, options.use_energy = settings.coefficients, settings.energy
        options.cepstral_lifter = settings.lifter
    online = (kaldi.OnlineFbank if kind == "fbank" else kaldi.OnlineMfcc)(options)
    online.accept_waveform(settings.sample_rate_hz, (samples * 32768).tolist())
    online.input_finished()
    return np.stack([online.get_frame(number) for number in range(online.num_frames_ready)])


@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": "hamming", "preemphasis": 0.0},
        {"window": "hann", "snip_edges": False},
        {"window": "rectangular", "frame_ms": 32.0, "shift_ms": 8.0},
        {"sample_rate_hz": 8000, "filters": 23, "low_hz": 64.0, "high_hz": -200.0},
        {"filters": 80, "high_hz": 7600.0, "energy": False, "lifter": 0.0, "coefficients": 20},
    ],
)
def test_agrees_with_kaldi(clip, kind, options):
    settings = FeatureSettings(features=kind, normalise="none", **options)
    np.testing.assert_allclose(
        features(clip, settings), by_kaldi(clip, settings), atol=1e-3, rtol=0
    )


def test_spectrogram_is_the_log_power_of_each_frame(clip):
    settings = FeatureSettings(features="spectrogram", normalise="none", preemphasis=0.0)
    found = features(clip, settings)
    frame = clip[160 * 30 : 160 * 30 + 400].astype(np.float64) * 32768
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft((frame - frame.mean()) * window, 512)) ** 2
    assert found.shape == (98, 257)
    np.testing.assert_allclose(found[30], np.log(power), atol=2e-3)


@pytest.mark.parametrize("kind", ["fbank", "mfcc", "plp", "spectrogram"])
def test_many_sounds_at_once_are_those_one_by_one(clip, kind):
    settings = FeatureSettings(features=kind, deltas=1)
    clips = [clip[:length] for length in (16000, 100, 400, 9000, 401)]
    for found, samples in zip(features_of_many(clips, settings), clips, strict=True):
        np.testing.assert_allclose(found, features(samples, settings), atol=5e-4)
    assert features_of_many([], settings) == []


@given(
    samples=st.integers(0, 3000),
    frame_ms=st.floats(5, 60),
    shift_ms=st.floats(1, 40),
    snip=st.booleans(),
)
def test_as_many_frames_as_counted(samples, frame_ms, shift_ms, snip):
    settings = FeatureSettings(
        frame_ms=frame_ms, shift_ms=shift_ms, snip_edges=snip, filters=4, sample_rate_hz=8000
    )
    found = features(np.ones(samples, np.float32), settings)
    assert found.shape == (frame_count(samples, settings), 4)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", ["fbank", "mfcc", "plp", "spectrogram"])
@pytest.mark.parametrize("extra", [{}, {"pitch": True, "deltas": 2}])
def test_size_is_reported_beforehand_and_silence_gives_numbers(kind, extra):
    settings = FeatureSettings(features=kind, **extra)
    found = features(np.zeros(4000, np.float32), settings)
    assert found.shape == (23, feature_size(settings))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_the_sound_itself_is_left_as_it_was(clip):
    before = clip.copy()
    features(clip, FeatureSettings())
    np.testing.assert_array_equal(clip, before)


def test_dither_only_with_a_generator(clip):
    settings = FeatureSettings(dither=1.0, normalise="none")
    plain = features(clip, FeatureSettings(normalise="none"))
    np.testing.assert_array_equal(features(clip, settings), plain)
    dithered = features(clip, settings, rng=np.random.default_rng(0))
    assert (dithered != plain).any()
    np.testing.assert_array_equal(features(clip, settings, rng=np.random.default_rng(0)), dithered)


def test_normalised_by_utterance_or_by_given_moments(clip):
    found = features(clip, FeatureSettings(normalise="utterance"))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-3)
    settings = FeatureSettings(normalise="corpus")
    raw = [features(part, settings) for part in (clip[:8000], clip[8000:])]
    corpus = total(moments_of(each) for each in raw)
    whole = np.concatenate(
        [features(part, settings, moments=corpus) for part in (clip[:8000], clip[8000:])]
    )
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=1e-4)


def test_filters_are_triangles_that_meet_at_their_centres():
    filters = mel_filters(20, low_hz=20, high_hz=0, sample_rate_hz=16000, fft_size=512)
    assert filters.shape == (256, 20)
    assert filters.max() <= 1
    covered = filters[(filters > 0).sum(axis=1) == 2].sum(axis=1)
    np.testing.assert_allclose(covered, 1, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"high_hz": 9000.0}, "do not fit a sample rate of 16000"),
        ({"low_hz": 5000.0, "high_hz": 400.0}, "filters from 5000 to 400 Hz"),
        ({"filters": 200}, "200 filters are too many"),
        ({"features": "mfcc", "coefficients": 50}, "50 coefficients from 40 filters"),
        ({"features": "plp", "lpc_order": 30}, "order 30 needs more than"),
        ({"sample_rate_hz": 1000, "shift_ms": 0.5, "filters": 4}, "under a sample"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(clip, options, words):
    with pytest.raises(UsageError, match=words):
        features(clip, FeatureSettings(**options))


def test_settings_of_a_model_carry_its_features():
    options = FeatureOptions(features="mfcc", deltas=2)
    assert settings_for(options, 8000) == FeatureSettings(
        features="mfcc", deltas=2, sample_rate_hz=8000
    )


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_deltas_agree_with_kaldi(order, frames):
    features = np.random.default_rng(0).standard_normal((frames, 5)).astype(np.float32)
    options = kaldi.DeltaOptions()
    options.order, options.window = order, 2
    np.testing.assert_allclose(
        add_deltas(features, order=order), kaldi.compute_deltas(options, features), atol=1e-5
    )


def test_the_deltas_of_a_line_are_a_constant_slope_and_no_curvature():
    line = 3.0 * np.arange(20, dtype=np.float32)[:, None]
    found = add_deltas(line, order=2)
    np.testing.assert_allclose(found[4:-4, 1], 3.0, atol=1e-6)
    np.testing.assert_allclose(found[4:-4, 2], 0.0, atol=1e-5)


def test_deltas_of_order_0_and_of_no_frames():
    features = np.ones((4, 2), np.float32)
    assert add_deltas(features, order=0) is features
    assert add_deltas(features[:0], order=2).shape == (0, 6)
