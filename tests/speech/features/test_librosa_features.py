"""Features that librosa defines, against librosa called directly."""

import subprocess
import sys

import librosa
import numpy as np
import pytest

from aitk.core.contract.errors import UsageError
from aitk.speech.data.audio import Clip
from aitk.speech.data.cleaning import clean
from aitk.speech.data.options import AudioReading, FeatureSettings
from aitk.speech.features.librosa_features import pyin_pitch, separate
from aitk.speech.features.signal import feature_size, features, frame_count

RATE = 8000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(4000)).astype(np.float32)


def settings_of(kind="librosa-mel", **more):
    return FeatureSettings(sample_rate_hz=RATE, features=kind, normalise="none", **more)


@pytest.mark.slow  # numba compiles
@pytest.mark.parametrize("snip", [True, False])
def test_mel_is_the_power_to_db_of_librosas_mel_spectrogram(snip):
    settings = settings_of(filters=20, frame_ms=32, low_hz=0.0, snip_edges=snip)
    power = librosa.feature.melspectrogram(
        y=NOISE, sr=RATE, n_fft=256, hop_length=80, n_mels=20, center=not snip
    )
    found = features(NOISE, settings)
    np.testing.assert_allclose(found.T, librosa.power_to_db(power, top_db=None), atol=1e-3)
    assert found.shape == (frame_count(len(NOISE), settings), feature_size(settings))


def test_a_window_may_be_shorter_than_the_transform():
    settings = settings_of(filters=20, frame_ms=25, low_hz=50.0, high_hz=-200.0)
    power = librosa.feature.melspectrogram(
        y=NOISE, sr=RATE, n_fft=256, win_length=200, hop_length=80, n_mels=20, center=False,
        fmin=50, fmax=3800,
    )  # fmt: skip
    expected = librosa.power_to_db(power, top_db=None)
    np.testing.assert_allclose(features(NOISE, settings).T, expected, atol=1e-3)


def test_chroma_is_librosas_with_a_at_440_hertz():
    tone = np.sin(2 * np.pi * 440 * np.arange(4000) / RATE).astype(np.float32)
    settings = settings_of("chroma", frame_ms=128)
    expected = librosa.feature.chroma_stft(
        y=tone, sr=RATE, n_fft=1024, hop_length=80, tuning=0.0, center=False
    )
    found = features(tone, settings)
    np.testing.assert_allclose(found.T, expected, atol=1e-5)
    assert (found.argmax(axis=1) == 9).all()  # C is 0, A is 9
    assert feature_size(settings) == 12


def test_a_frame_does_not_depend_on_later_audio():
    settings = settings_of(filters=20)
    whole, begun = features(NOISE, settings), features(NOISE[:2000], settings)
    np.testing.assert_allclose(whole[: len(begun)], begun, atol=1e-4)


def test_audio_shorter_than_a_transform_has_no_frame():
    assert features(NOISE[:200], settings_of()).shape == (0, 40)


def test_settings_that_only_kaldi_has_and_impossible_filters_are_refused():
    for more, words in (
        ({"window": "hamming"}, "has no window"),
        ({"preemphasis": 0.5}, "has no preemphasis"),
        ({"filters": 200}, "some are empty"),
        ({"high_hz": 5000.0}, "do not fit"),
    ):
        with pytest.raises(UsageError, match=words):
            feature_size(settings_of(**more))


@pytest.mark.slow  # numba compiles
@pytest.mark.parametrize("snip", [True, False])
def test_pyin_finds_the_pitch_of_each_frame(snip):
    hertz = np.linspace(100, 200, 6000)
    sweep = (0.5 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)).astype(np.float32)
    settings = settings_of("fbank", pitch=True, pitch_method="pyin", snip_edges=snip)
    found = features(sweep, settings)
    assert found.shape == (frame_count(len(sweep), settings), 42)
    middles = (100 if snip else 40) + 80 * np.arange(len(found))
    inside = slice(5, -5)
    expected = np.log(hertz[middles[inside]])
    np.testing.assert_allclose(found[inside, 41], expected, atol=0.02)
    # Away from the ends librosa's own centred frames are the same.
    centred = found[:, 40:]
    if not snip:
        centred = pyin_pitch(sweep, settings, centres=80 * np.arange(60))
        f0, _, voiced = librosa.pyin(
            sweep, fmin=50, fmax=400, sr=RATE, frame_length=512, hop_length=80, fill_na=None
        )
        np.testing.assert_allclose(centred[10:50, 1], np.log(f0[10:50]), atol=0.02)
        np.testing.assert_allclose(centred[10:50, 0], voiced[10:50], atol=0.05)


def test_pyin_of_silence_is_unvoiced():
    found = pyin_pitch(np.zeros(2000, np.float32), settings_of(), centres=100 + 80 * np.arange(20))
    assert np.isfinite(found).all()
    assert found[:, 0].max() < 0.5


@pytest.mark.parametrize("component", ["harmonic", "percussive"])
def test_components_are_those_of_librosa(component):
    time = np.arange(8000) / RATE
    mixed = (0.3 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    mixed[::2000] += 0.6
    expected = getattr(librosa.effects, component)(mixed)
    np.testing.assert_allclose(separate(mixed, component), expected, atol=1e-6)
    clip = Clip(mixed, RATE, RATE, 1, 0.0)
    found, _ = clean(clip, AudioReading(sample_rate_hz=RATE, component=component))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_percussive_component_has_the_clicks_and_the_harmonic_one_the_tone():
    time = np.arange(8000) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    clicks = np.zeros_like(tone)
    clicks[1000::2000] = 0.6
    for component, part in (("harmonic", tone), ("percussive", clicks)):
        found = separate(tone + clicks, component)
        other = clicks if part is tone else tone
        assert np.corrcoef(found, part)[0, 1] > 2 * abs(np.corrcoef(found, other)[0, 1])


def test_librosa_is_imported_only_where_it_is_used():
    code = (
        "import sys, numpy as np\n"
        "from aitk.speech.data.options import FeatureSettings\n"
        "from aitk.speech.features.signal import features\n"
        "features(np.zeros(4000, np.float32), FeatureSettings())\n"
        "assert 'librosa' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
